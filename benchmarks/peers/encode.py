#!/usr/bin/env python3
"""Encoding images: our encode stage against the same model with the same weights in PyTorch, in turns.

usage: encode.py [--model NAME] [--images N] [--batches B,..] [--pairs N] [--threads N] [--program build/nmlbench]

Needs torch and torchvision. Models: resnet50, vit_b_16, convnext_tiny, random weights, images of 224 px that lie in memory as
bytes. Both sides normalise them and give the features before the head. The peer is PyTorch's forward pass in each of its ways
(eager, channels-last, bf16 under autocast, torch.compile of either), each with the fastest of the batch sizes; ours is what
`v_throughput` says of the encode stage of a run, in float32 and bf16. Of each pair the ratio is taken; medians are printed.
"""
import argparse
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import time

import numpy
import torch
import torchvision

import nml

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OURS = {"resnet50": 'plugin = "resnet", variant = "resnet50"', "vit_b_16": 'plugin = "vit", variant = "vit_base", patch = 16',
        "convnext_tiny": 'plugin = "convnext", variant = "convnext_tiny"'}
HEADS = {"resnet50": "fc", "vit_b_16": "heads", "convnext_tiny": "classifier.2"}
WARM_UP = 256  # images of our first batch, which our stage does not time

MATRIX = """
[matrix]
name  = "encode"
seeds = [0]
[encode]
precision = "{precision}"
[[pretrain]]
encoder = {{ {encoder}, weights = "model.safetensors" }}
[[task]]
name  = "t"
train = {{ plugin = "npy-images", x = "x.npy", y = "y.npy" }}
[[task.test]]
kind = "id"
data = {{ plugin = "npy-images", x = "x.npy", y = "y.npy", rows = 8 }}
[[tuner]]
plugin = "linear-probe"
epochs = 1
"""


def write_data(folder, name, images):
    draw = numpy.random.default_rng(0)
    numpy.save(folder / "x.npy", draw.integers(0, 256, (images + WARM_UP, 224, 224, 3), dtype="u1"))
    numpy.save(folder / "y.npy", numpy.arange(images + WARM_UP) % 4)
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None).eval()
    from safetensors.torch import save_file
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    for precision in ("fp32", "bf16"):
        (folder / f"{precision}.toml").write_text(MATRIX.format(precision=precision, encoder=OURS[name]))
    owner = model.get_submodule(HEADS[name].rpartition(".")[0])
    setattr(owner, HEADS[name].rpartition(".")[2], torch.nn.Identity())
    return model


def ours(program, folder, precision, threads):
    for old in folder.glob("run*"):
        subprocess.run(["rm", "-r", old], check=True)
    subprocess.run([program, "run", f"{precision}.toml", "--db", "run.sqlite", "--cache-dir", "run", "--threads", str(threads),
                    "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, OMP_WAIT_POLICY="passive"))
    with sqlite3.connect(folder / "run.sqlite") as db:
        return db.execute("SELECT sum(items) / sum(seconds) FROM v_throughput WHERE stage = 'encode'").fetchone()[0]


def peer(model, x, way, batch):
    """Images a second of one way of PyTorch."""
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    if "channels-last" in way:
        model = model.to(memory_format=torch.channels_last)
    run = torch.compile(model) if "compile" in way else model

    def encode(images):
        part = (images.permute(0, 3, 1, 2).float() / 255 - mean) / std
        part = part.contiguous(memory_format=torch.channels_last if "channels-last" in way else torch.contiguous_format)
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in way):
            return run(part)

    with torch.inference_mode():
        encode(x[:batch])
        encode(x[:batch])
        begin = time.perf_counter()
        for first in range(0, len(x), batch):
            encode(x[first : first + batch])
        return len(x) / (time.perf_counter() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(OURS), action="append")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--batches", default="16,64")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", default="build/nmlbench", type=pathlib.Path)
    parser.add_argument("--ways", default="eager,channels-last,channels-last bf16,compile,compile channels-last bf16")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"PyTorch {torch.__version__}, {args.threads} threads, images/s of {args.images} images of 224 px")
    for name in args.model or OURS:
        with tempfile.TemporaryDirectory() as text:
            folder = pathlib.Path(text)
            model = write_data(folder, name, args.images)
            x = torch.from_numpy(numpy.load(folder / "x.npy"))[: args.images]
            rows = {way: [] for way in ("ours fp32", "ours bf16", *args.ways.split(","))}
            for _ in range(args.pairs):
                for precision in ("fp32", "bf16"):
                    rows[f"ours {precision}"].append(ours(args.program.resolve(), folder, precision, args.threads))
                for way in args.ways.split(","):
                    rows[way].append(max(peer(model, x, way, int(batch)) for batch in args.batches.split(",")))
            nml.print_ratios(name, args.ways.split(","), rows)


if __name__ == "__main__":
    main()
