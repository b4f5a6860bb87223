#!/usr/bin/env python3
"""A small run from end to end: 12 linear probes x 30 epochs on 1,078 x 512 frozen features, two test sets of 719 rows.

usage: small_run.py [--pairs N] [--threads N] [--program FILE]

Both sides are whole programs, started in turns: nmlbench with a fresh database, and this Python's PyTorch (`import torch`
included), which reads the same .npy files, tunes one probe after the other, and prints each one's accuracies and the
entropy of each test set's singular values. The first run of each is not counted. Both sides get their first run's warm
caches, as a user's second run does; --cold gives nmlbench an empty cache in every run.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPLITS = {"train": 1078, "id": 719, "ood": 719}
DIM, CLASSES, SEEDS, RATES = 512, 10, range(4), (0.1, 0.01, 0.001)
MATRIX = """[matrix]
name = "small"
seeds = {seeds}
[[pretrain]]
encoder = {{ plugin = "identity" }}
[[task]]
name = "small"
train = {{ plugin = "features", x = "train_x.npy", y = "train_y.npy" }}
[[task.test]]
kind = "id"
name = "id"
data = {{ plugin = "features", x = "id_x.npy", y = "id_y.npy" }}
[[task.test]]
kind = "ood"
name = "ood"
data = {{ plugin = "features", x = "ood_x.npy", y = "ood_y.npy" }}
[[tuner]]
plugin = "linear-probe"
lr = {rates}
"""


def write_features(folder):
    """Classes as clouds on a plane of 32 dimensions, seen through a random layer with ReLU, as an encoder's last one."""
    import numpy as np
    draws = np.random.default_rng(0)
    centres, layer = draws.normal(size=(CLASSES, 32)), draws.normal(size=(32, DIM)) / 32 ** 0.5
    for split, rows in SPLITS.items():
        labels = np.arange(rows) % CLASSES
        hidden = centres[labels] + draws.normal(size=(rows, 32)) * (1.6 if split == "ood" else 1.0)
        x = np.maximum(hidden @ layer + 0.1 * draws.normal(size=(rows, DIM)), 0)
        np.save(os.path.join(folder, f"{split}_x.npy"), x.astype(np.float32))
        np.save(os.path.join(folder, f"{split}_y.npy"), labels)
    with open(os.path.join(folder, "small.toml"), "w") as file:
        file.write(MATRIX.format(seeds=list(SEEDS), rates=list(RATES)))


def peer(folder, threads):
    import numpy as np
    import torch

    import nml
    torch.set_num_threads(threads)
    data = {split: [torch.from_numpy(np.load(os.path.join(folder, f"{split}_{part}.npy"))) for part in "xy"]
            for split in SPLITS}
    for split in ("id", "ood"):  # a linear probe leaves the features as they are: one spectrum for all heads
        x = torch.nn.functional.normalize(data[split][0].double())
        p = torch.linalg.svdvals(x - x.mean(0))
        p = p / p.sum()
        print(split, -torch.special.xlogy(p, p).sum().item(), -p[0].log().item())
    for seed in SEEDS:
        for lr in RATES:
            head = nml.train_head("linear-probe", *data["train"], CLASSES, 30, seed, lr=lr)
            with torch.no_grad():
                print(seed, lr, *((head(data[s][0]).argmax(1) == data[s][1]).float().mean().item() for s in ("id", "ood")))


def seconds_of(command, **keywords):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **keywords)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; such small products gain nothing from more")
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "nmlbench"))
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--peer", metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.peer, args.threads)

    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    with tempfile.TemporaryDirectory() as folder:
        write_features(folder)
        def ours(run):
            cache = os.path.join(folder, f"cache{run}" if args.cold else "cache")
            return seconds_of([args.program, "run", os.path.join(folder, "small.toml"), "--cache-dir", cache, "--db",
                               os.path.join(folder, f"{run}.sqlite"), "--quiet"], env=environment)
        def theirs():
            return seconds_of([sys.executable, os.path.abspath(__file__), "--peer", folder, "--threads", str(args.threads)],
                              env=environment)
        pairs = [(ours(run), theirs()) for run in range(args.pairs + 1)][1:]
    mine, other = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    ratios = sorted(pair[1] / pair[0] for pair in pairs)
    print(f"nmlbench {mine:.2f} s, PyTorch {other:.2f} s: {statistics.median(ratios):.1f}x "
          f"({ratios[0]:.1f} - {ratios[-1]:.1f}, {len(pairs)} pairs)")


if __name__ == "__main__":
    main()
