#!/usr/bin/env python3
"""Pre-training whole encoders: our pretrain stage against the same training in PyTorch, in turns.

usage: pretrain.py [--model NAME] [--images N] [--ways W,..] [--pairs N] [--threads N] [--program build/nmlbench]

Needs torch and timm. Models: resnet18 and vit_tiny (patches of 8 px), images of 64 px that lie in memory as bytes, 100 classes,
batches of 128, no augmentation; SGD with momentum for the former, AdamW for the latter. Both sides normalise. Ours is what
`v_throughput` says of one epoch; the peer is PyTorch's loop of as many steps after two that warm it up, in each of its ways
(eager, channels-last, bf16 under autocast, torch.compile of either). Of each pair the ratio is taken; medians are printed.
"""
import argparse
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import time

import numpy
import timm
import torch

import nml

SIZE, CLASSES, BATCH = 64, 100, 128
OURS = {"resnet18": ('plugin = "resnet", variant = "resnet18"', 'name = "sgd", lr = 0.1, momentum = 0.9'),
        "vit_tiny": ('plugin = "vit", variant = "vit_tiny", patch = 8', 'name = "adamw", lr = 0.001, weight_decay = 0.05')}

MATRIX = """
[matrix]
name  = "pretrain"
seeds = [0]
[[pretrain]]
encoder = {{ {encoder}, size = 64 }}
dataset = {{ plugin = "npy-images", x = "x.npy", y = "y.npy" }}
optim   = {{ {optim}, epochs = 1, batch_size = 128, schedule = "constant", precision = "{precision}", threads = {threads} }}
[[task]]
name  = "t"
train = {{ plugin = "npy-images", x = "x.npy", y = "y.npy", rows = 200 }}
[[task.test]]
kind = "id"
data = {{ plugin = "npy-images", x = "x.npy", y = "y.npy", rows = 200 }}
[[tuner]]
plugin = "linear-probe"
epochs = 1
"""


def ours(program, folder, model, precision, threads):
    for old in folder.glob("run*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    encoder, optim = OURS[model]
    (folder / "m.toml").write_text(MATRIX.format(encoder=encoder, optim=optim, precision=precision, threads=threads))
    subprocess.run([program, "run", "m.toml", "--db", "run.sqlite", "--cache-dir", "run", "--threads", str(threads), "--quiet"],
                   cwd=folder, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, OMP_WAIT_POLICY="passive"))
    with sqlite3.connect(folder / "run.sqlite") as db:
        return db.execute("SELECT sum(items) / sum(seconds) FROM v_throughput WHERE stage = 'pretrain'").fetchone()[0]


def make(model):
    torch.manual_seed(0)
    if model == "resnet18":
        net = timm.create_model("resnet18", num_classes=CLASSES)
        return net, torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net = timm.create_model("vit_tiny_patch16_224", img_size=SIZE, patch_size=8, num_classes=CLASSES)
    return net, torch.optim.AdamW(net.parameters(), lr=0.001, weight_decay=0.05, fused=True)


def peer(model, x, y, way):
    """Images a second of one way of PyTorch."""
    net, optimizer = make(model)
    memory = torch.channels_last if "channels-last" in way else torch.contiguous_format
    net = net.train().to(memory_format=memory)
    run = torch.compile(net) if "compile" in way else net
    mean, std = torch.tensor(timm.data.IMAGENET_DEFAULT_MEAN).view(1, 3, 1, 1), torch.tensor(timm.data.IMAGENET_DEFAULT_STD).view(1, 3, 1, 1)

    def step(first):
        rows = slice(first, first + BATCH)
        part = ((x[rows].permute(0, 3, 1, 2).float() / 255 - mean) / std).contiguous(memory_format=memory)
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in way):
            scores = run(part)
        loss = torch.nn.functional.cross_entropy(scores.float(), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step(0)
    step(BATCH)
    begin = time.perf_counter()
    for first in range(0, len(x), BATCH):
        step(first)
    return len(x) / (time.perf_counter() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(OURS), action="append")
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", default="build/nmlbench", type=pathlib.Path)
    parser.add_argument("--ways", default="eager,channels-last,channels-last bf16,compile,compile channels-last bf16")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    draw = numpy.random.default_rng(0)
    images = args.images // BATCH * BATCH
    pixels, labels = draw.integers(0, 256, (images, SIZE, SIZE, 3), dtype="u1"), numpy.arange(images) % CLASSES
    print(f"PyTorch {torch.__version__}, {args.threads} threads, images/s of {images} images of {SIZE} px, batches of {BATCH}")
    for model in args.model or OURS:
        with tempfile.TemporaryDirectory() as text:
            folder = pathlib.Path(text)
            numpy.save(folder / "x.npy", pixels)
            numpy.save(folder / "y.npy", labels)
            rows = {way: [] for way in ("ours fp32", "ours bf16", *args.ways.split(","))}
            for _ in range(args.pairs):
                for precision in ("fp32", "bf16"):
                    rows[f"ours {precision}"].append(ours(args.program.resolve(), folder, model, precision, args.threads))
                for way in args.ways.split(","):
                    rows[way].append(peer(model, torch.from_numpy(pixels), torch.from_numpy(labels), way))
        nml.print_ratios(model, args.ways.split(","), rows)


if __name__ == "__main__":
    main()
