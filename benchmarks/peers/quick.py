#!/usr/bin/env python3
"""The work of matrices/quick.toml in plain PyTorch, and by nmlbench: seconds of both, and the accuracies of both.

usage: quick.py [--seeds N] [--threads N] [--bf16] [--out FILE]

The images of every split come from `nmlbench features` with the encoder `pixels`, so that both sides see the same ones;
making them counts for nmlbench and not for PyTorch. PyTorch pre-trains in float32 unless --bf16 asks for autocast and
channels-last, encodes every split once, and tunes one head after the other, on --threads threads.
"""
import argparse
import collections
import json
import os
import re
import sqlite3
import statistics
import subprocess
import tempfile
import time
import tomllib

import numpy as np
import torch

import nml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "build", "nmlbench")
MATRIX = os.path.join(ROOT, "matrices", "quick.toml")
TUNERS = {"linear-probe": "linear-probe", "mlp": "mlp", "nmtune": "nmtune official"}


def export_images(text, folder):
    """Writes every split of the matrix as .npy; returns index.json."""
    split = re.search(r"^dataset = (\{.*\})$", text, re.M).group(1)
    pretrain = f'[[task]]\nname = "pretrain"\ntrain = {split}\n[[task.test]]\nkind = "id"\nname = "same"\ndata = {split}\n'
    file = os.path.join(folder, "pixels.toml")
    with open(file, "w") as out:
        out.write('[matrix]\nname = "pixels"\nseeds = [0]\n[[pretrain]]\nencoder = { plugin = "pixels" }\n'
                  + pretrain + text[text.index("[[task]]"):text.index("[[tuner]]")])
    subprocess.run([PROGRAM, "features", file, "-o", folder, "--cache-dir", os.path.join(folder, "cache"), "--quiet"],
                   check=True)
    with open(os.path.join(folder, "index.json")) as index:
        return json.load(index)


def load(folder, entry):
    x = np.load(os.path.join(folder, entry["x"]))
    images = torch.from_numpy(np.rint(x * 255).astype(np.uint8)).view(len(x), 3, 32, 32)
    return images, torch.from_numpy(np.load(os.path.join(folder, entry["y"]))).long()


def noisy(labels, ratio, classes, seed):
    """Symmetric noise: the chosen share of each class gets a uniform other class."""
    draws = np.random.default_rng(seed)
    out = labels.numpy().copy()
    for c in range(classes):
        rows = np.flatnonzero(labels.numpy() == c)
        chosen = draws.choice(rows, int(round(ratio * len(rows))), replace=False)
        out[chosen] = (c + draws.integers(1, classes, len(chosen))) % classes
    return torch.from_numpy(out)


@torch.no_grad()
def encode(model, images, bf16):
    features = []
    for batch in images.split(256):
        x = nml.normalise(batch)
        if bf16:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            features.append(model.features(x).float())
    return torch.cat(features)


def spectrum(z):
    """SVE and LSVR, as every cell of the benchmark has them."""
    x = z.double()
    x = x / x.norm(dim=1, keepdim=True)
    p = torch.linalg.svdvals(x - x.mean(0))
    p = p / p.sum()
    return -(p * p.log()).sum().item(), -p[0].log().item()


@torch.no_grad()
def measure(head, name, x, y):
    z = x if name == "linear-probe" else head.features(x)
    logits = head(x)
    spectrum(z)
    torch.nn.functional.cross_entropy(logits, y)
    return (logits.argmax(1) == y).float().mean().item()


def run_pytorch(matrix, splits, folder, seeds, bf16):
    optim = matrix["pretrain"][0]["optim"]
    images, labels = load(folder, splits["pretrain"]["train"])
    classes = int(labels.max()) + 1
    accuracy = collections.defaultdict(list)
    begin = time.perf_counter()
    for ratio in matrix["pretrain"][0]["noise"]["ratio"]:
        for seed in seeds:
            model = nml.pretrain(images, noisy(labels, ratio, classes, seed), classes, optim["epochs"], seed,
                                 optim["batch_size"], bf16)
            for task in matrix["task"]:
                entry = splits[task["name"]]
                train_images, y = load(folder, entry["train"])
                x = encode(model, train_images, bf16)
                tests = [(kind, encode(model, test[0], bf16), test[1])
                         for kind, test in ((kind, load(folder, e)) for kind, e in entry["tests"])]
                for tuner, name in TUNERS.items():
                    head = nml.train_head(name, x, y, int(y.max()) + 1, 30, seed)
                    for kind, test_x, test_y in tests:
                        accuracy[tuner, ratio, kind].append(measure(head, name, test_x, test_y))
    return time.perf_counter() - begin, {key: 100 * statistics.mean(values) for key, values in accuracy.items()}


def run_nmlbench(folder, seeds):
    db = os.path.join(folder, "quick.sqlite")
    begin = time.perf_counter()
    subprocess.run([PROGRAM, "run", MATRIX, "--db", db, "--cache-dir", os.path.join(folder, "fresh"), "--quiet",
                    "--set", f"matrix.seeds={list(seeds)}"], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    rows = sqlite3.connect(db).execute("SELECT tuner, noise_ratio, test_kind, 100 * avg(value) FROM v_results "
                                       "WHERE metric = 'accuracy' GROUP BY 1, 2, 3")
    return seconds, {(tuner, ratio, kind): value for tuner, ratio, kind, value in rows}


def arrange(index, matrix):
    """index.json of the only checkpoint -> {task: {"train": entry, "tests": [(kind, entry)]}}."""
    entries = {entry["name"]: entry for entry in index["checkpoints"][0]["splits"]}
    splits = {"pretrain": {"train": entries["pretrain-train"]}}
    for task in matrix["task"]:
        tests = [(test["kind"], entries[f"{task['name']}-{test['data'].get('domain', 'photo')}"]) for test in task["test"]]
        splits[task["name"]] = {"train": entries[f"{task['name']}-train"], "tests": tests}
    return splits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    with open(MATRIX, "rb") as file:
        matrix = tomllib.load(file)
    with open(MATRIX) as file:
        text = file.read()
    seeds = range(args.seeds)
    with tempfile.TemporaryDirectory() as folder:
        splits = arrange(export_images(text, folder), matrix)
        our_seconds, our_accuracy = run_nmlbench(folder, seeds)
        peer_seconds, peer_accuracy = run_pytorch(matrix, splits, folder, seeds, args.bf16)
    print(f"nmlbench {our_seconds:.0f} s, PyTorch ({'bf16' if args.bf16 else 'fp32'}, {args.threads} threads) "
          f"{peer_seconds:.0f} s: {peer_seconds / our_seconds:.1f}x")
    print("| tuner | noise | test sets | nmlbench | PyTorch |\n| --- | --- | --- | --- | --- |")
    for key in sorted(our_accuracy):
        print(f"| {key[0]} | {key[1]:.0%} | {key[2].upper()} | {our_accuracy[key]:.1f} | {peer_accuracy[key]:.1f} |")


if __name__ == "__main__":
    main()
