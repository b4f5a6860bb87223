#!/usr/bin/env python3
"""LP, MLP and NMTune of PAPER.md in plain PyTorch, one head at a time: a reference for accuracy, not for speed.

usage: reference.py DIR [--seeds N] [--epochs N]
DIR holds x.npy, y.npy (training) and test_x.npy, test_y.npy. Prints JSON: mean and deviation of the test accuracy in
percent over the seeds, and SVE and LSVR of the test features by NumPy in float64.
"""
import argparse
import json
import os
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "benchmarks", "peers"))
import nml


def spectrum(features):
    x = features.astype(np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    sigma = np.linalg.svd(x - x.mean(0), compute_uv=False)
    p = sigma / sigma.sum()
    p = p[p > 0]
    return {"sve": float(-(p * np.log(p)).sum()), "lsvr": float(-np.log(p[0]))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(1)
    load = lambda name: torch.from_numpy(np.load(f"{args.folder}/{name}.npy"))
    x, y, test_x, test_y = load("x").float(), load("y").long(), load("test_x").float(), load("test_y").long()
    classes = int(y.max()) + 1
    results = {"spectrum": spectrum(test_x.numpy()), "accuracy": {}}
    for name in nml.TUNERS:
        accuracies = []
        for seed in range(args.seeds):
            model = nml.train_head(name, x, y, classes, args.epochs, seed)
            with torch.no_grad():
                accuracies.append(100 * (model(test_x).argmax(1) == test_y).float().mean().item())
        results["accuracy"][name] = {"mean": round(np.mean(accuracies), 3), "deviation": round(np.std(accuracies, ddof=1), 3)}
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
