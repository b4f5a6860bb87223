#!/usr/bin/env python3
"""A small run as a user meets it: both whole programs, from start to end, in turns.

usage: small_run.py [--pairs N] [--program build/nmlbench] [--warm]

Twelve linear probes (4 learning rates x 3 seeds, 30 epochs of AdamW) on 1,078 frozen features of 512 dimensions in .npy files,
and their accuracies on 500. The peer is this file called by the same Python with --peer: it imports PyTorch, reads the files,
fits one head after the other and prints. Ours does that, measures loss, calibration and spectra, plans, checks, and writes a
database, anew each time: neither a cache nor a database is there. With --warm the cache is, as in every run of a user's but the
first: features need not be encoded, and bundled plugins not be tried, again.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

RATES, SEEDS, EPOCHS = (0.001, 0.003, 0.01, 0.03), 3, 30
MATRIX = f"""
[matrix]
name  = "small"
seeds = {list(range(SEEDS))}
[[pretrain]]
encoder = {{ plugin = "identity" }}
[[task]]
name  = "t"
train = {{ plugin = "features", x = "train_x.npy", y = "train_y.npy" }}
[[task.test]]
kind = "id"
data = {{ plugin = "features", x = "test_x.npy", y = "test_y.npy" }}
[[tuner]]
plugin = "linear-probe"
epochs = {EPOCHS}
lr = {list(RATES)}
"""


def write_features(folder):
    draw = numpy.random.default_rng(0)
    centres = draw.normal(size=(10, 512))
    for name, rows in (("train", 1078), ("test", 500)):
        labels = draw.integers(0, 10, rows)
        numpy.save(folder / f"{name}_y.npy", labels)
        numpy.save(folder / f"{name}_x.npy", (centres[labels] + 4 * draw.normal(size=(rows, 512))).astype("f4"))
    (folder / "small.toml").write_text(MATRIX)


def peer(threads):
    import torch

    import nml

    torch.set_num_threads(threads)
    x, y, test_x, test_y = (torch.from_numpy(numpy.load(f"{name}.npy")) for name in ("train_x", "train_y", "test_x", "test_y"))
    for lr in RATES:
        for seed in range(SEEDS):
            model = nml.train_head("linear-probe", x, y, 10, EPOCHS, seed, lr=lr)
            with torch.no_grad():
                print(lr, seed, (model(test_x).argmax(1) == test_y).float().mean().item())


def seconds_of(command, folder, kept="run*"):
    for kept in folder.glob(kept):
        subprocess.run(["rm", "-r", kept], check=True)
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, OMP_WAIT_POLICY="passive"))
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--program", default="build/nmlbench")
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)  # threads
    options = parser.parse_args()
    if options.peer:
        return peer(options.peer)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_features(folder)
        ours = [pathlib.Path(options.program).resolve(), "run", "small.toml", "--quiet", "--db", "run.sqlite", "--cache-dir", "run-cache"]
        theirs = {threads: [sys.executable, pathlib.Path(__file__).resolve(), "--peer", str(threads)] for threads in (1, 2)}
        threads = min(theirs, key=lambda n: seconds_of(theirs[n], folder))
        anew = "run.sqlite*" if options.warm else "run*"
        pairs = [(seconds_of(ours, folder, anew), seconds_of(theirs[threads], folder)) for _ in range(options.pairs)]
    ratios = sorted(b / a for a, b in pairs)
    print(f"12 linear probes, whole program: ours {statistics.median(a for a, _ in pairs):.2f} s, PyTorch ({threads} threads) "
          f"{statistics.median(b for _, b in pairs):.2f} s: {statistics.median(ratios):.1f}x ({ratios[0]:.1f} - {ratios[-1]:.1f})")


if __name__ == "__main__":
    main()
