#!/usr/bin/env python3
"""A grid of 45 heads, the best by a stratified holdout fitted again on all rows: both whole programs, in turns.

usage: sweep.py [--pairs N] [--program build/nmlbench] [--tuner linear-probe] [--rows 1078] [--dim 512] [--classes 10] [--epochs 30]

15 step sizes x 3 weight decays, 30 epochs of AdamW in batches of 64. The peer is this file called by the same Python with
--peer: it imports PyTorch, reads the features, fits one candidate after the other on four fifths of each class, scores it on the
rest, fits the best on all rows and prints its accuracy on the test set. Ours does that, measures loss, calibration and spectra,
and writes a database that keeps the scores, anew each time. Seconds are of the clock and of the processor (user and system, all
threads): where other programs run, the latter are the better measure.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

RATES = [10 ** (-4 + i / 4) for i in range(15)]
DECAYS = [0.0, 1e-4, 1e-2]


def matrix(options):
    return f"""
[matrix]
name  = "sweep"
seeds = [0]
[[pretrain]]
encoder = {{ plugin = "identity" }}
[[task]]
name  = "t"
train = {{ plugin = "features", x = "train_x.npy", y = "train_y.npy" }}
[[task.test]]
kind = "id"
data = {{ plugin = "features", x = "test_x.npy", y = "test_y.npy" }}
[selection]
over = ["lr", "weight_decay"]
[[tuner]]
plugin = "{options.tuner}"
epochs = {options.epochs}
lr = {RATES}
weight_decay = {DECAYS}
"""


def write_features(folder, options):
    draw = numpy.random.default_rng(0)
    centres = draw.normal(size=(options.classes, options.dim))
    for name, rows in (("train", options.rows), ("test", 500)):
        labels = draw.integers(0, options.classes, rows)
        labels[:options.classes] = numpy.arange(options.classes)
        numpy.save(folder / f"{name}_y.npy", labels)
        x = centres[labels] + 6 * draw.normal(size=(rows, options.dim))
        numpy.save(folder / f"{name}_x.npy", x.astype("f4"))
    (folder / "sweep.toml").write_text(matrix(options))


def peer(options):
    import torch

    import nml

    torch.set_num_threads(options.peer)
    torch.set_flush_denormal(True)
    x, y, test_x, test_y = (torch.from_numpy(numpy.load(f"{name}.npy")) for name in ("train_x", "train_y", "test_x", "test_y"))
    held_out = torch.zeros(len(y), dtype=torch.bool)
    for label in range(options.classes):
        rows = (y == label).nonzero().flatten()
        held_out[rows[torch.randperm(len(rows))[:len(rows) // 5]]] = True

    def fit(rows, lr, decay):
        return nml.train_head(options.tuner, x[rows], y[rows], options.classes, options.epochs, 0, lr=lr, weight_decay=decay)

    def accuracy(model, features, labels):
        model.eval()
        with torch.no_grad():
            return (model(features).argmax(1) == labels).float().mean().item()

    scores = {(lr, decay): accuracy(fit(~held_out, lr, decay), x[held_out], y[held_out]) for lr in RATES for decay in DECAYS}
    lr, decay = max(scores, key=scores.get)
    print(lr, decay, accuracy(fit(torch.ones_like(held_out), lr, decay), test_x, test_y))


def seconds_of(command, folder):
    """Of the clock, of the processor."""
    subprocess.run("rm -rf run*", cwd=folder, shell=True, check=True)
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, OMP_WAIT_POLICY="passive"))
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begin
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--program", default="build/nmlbench")
    parser.add_argument("--tuner", default="linear-probe")
    parser.add_argument("--rows", type=int, default=1078)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)  # threads
    options = parser.parse_args()
    if options.peer:
        return peer(options)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_features(folder, options)
        ours = [pathlib.Path(options.program).resolve(), "run", "sweep.toml", "--quiet", "--db", "run.sqlite", "--cache-dir", "run-cache"]
        again = [sys.executable, pathlib.Path(__file__).resolve(), "--tuner", options.tuner, "--classes", str(options.classes),
                 "--epochs", str(options.epochs), "--peer"]
        theirs = [again + [str(threads)] for threads in (1, 2)]
        # of the peer's two the less, for either measure: two threads are faster and cost more
        pairs = [(seconds_of(ours, folder), tuple(map(min, *(seconds_of(command, folder) for command in theirs))))
                 for _ in range(options.pairs)]
    print(f"45 {options.tuner}, {options.rows} x {options.dim}, {options.classes} classes, {options.epochs} epochs")
    for i, clock in enumerate(("of the clock", "of the processor")):
        ratios = sorted(b[i] / a[i] for a, b in pairs)
        print(f"  seconds {clock}: ours {statistics.median(a[i] for a, _ in pairs):.2f}, PyTorch "
              f"{statistics.median(b[i] for _, b in pairs):.2f}: {statistics.median(ratios):.1f}x ({ratios[0]:.1f} - {ratios[-1]:.1f})")


if __name__ == "__main__":
    main()
