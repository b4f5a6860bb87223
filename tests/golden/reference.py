#!/usr/bin/env python3
"""LP, MLP and NMTune of PAPER.md in plain PyTorch, one head at a time: a reference for what they reach, not for speed.

usage: reference.py DIR [--seeds N] [--epochs N]
DIR holds x.npy, y.npy (training) and test_x.npy, test_y.npy. Prints JSON: of each tuner, mean and deviation over the
seeds of accuracy (percent), loss, and SVE and LSVR of its tuned test features, and those of the test features
themselves, by NumPy in float64.
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
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(1)
    load = lambda name: torch.from_numpy(np.load(f"{args.folder}/{name}.npy"))
    x, y, test_x, test_y = load("x").float(), load("y").long(), load("test_x").float(), load("test_y").long()
    classes = int(y.max()) + 1
    results = {"spectrum": spectrum(test_x.numpy()), "tuners": {}}
    for name in nml.TUNERS:
        values = []
        for seed in range(args.seeds):
            model = nml.train_head(name, x, y, classes, args.epochs, seed)
            with torch.no_grad():
                logits = model(test_x)
                z = test_x if name == "linear-probe" else model.features(test_x)
            values.append({"accuracy": 100 * (logits.argmax(1) == test_y).float().mean().item(),
                           "loss": torch.nn.functional.cross_entropy(logits.double(), test_y).item(),
                           **spectrum(z.numpy())})
        results["tuners"][name] = {
            metric: {"mean": round(float(np.mean([v[metric] for v in values])), 5),
                     "deviation": round(float(np.std([v[metric] for v in values], ddof=1)), 5)} for metric in values[0]}
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
