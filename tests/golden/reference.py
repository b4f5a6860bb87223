#!/usr/bin/env python3
"""LP, MLP and NMTune of PAPER.md in plain PyTorch, one head at a time: a reference for accuracy, not for speed.

usage: reference.py DIR [--seeds N] [--epochs N]
DIR holds x.npy, y.npy (training) and test_x.npy, test_y.npy. Prints JSON: mean and deviation of the test accuracy in
percent over the seeds, and SVE and LSVR of the test features by NumPy in float64.
"""
import argparse
import json
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Mlp(nn.Module):
    def __init__(self, dim, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(dim, 4 * dim), nn.BatchNorm1d(4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
        self.scale = nn.Parameter(torch.ones(dim))
        self.head = make_linear(dim, classes)

    def features(self, x):
        return x + self.scale * self.body(x)

    def forward(self, x):
        return self.head(self.features(x))


def make_linear(dim, classes):
    layer = nn.Linear(dim, classes)
    nn.init.kaiming_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def regularisers(z, f, weights, top_k):
    consistency, covariance, dominance = weights
    centred = z - z.mean(0)
    c = centred.T @ centred / (len(z) - 1)
    off_diagonal = c - torch.diag(torch.diag(c))
    sigma = torch.linalg.svdvals(z)
    return (consistency * F.mse_loss(F.normalize(z), F.normalize(f))
            + covariance * off_diagonal.square().sum() / z.shape[1]
            - dominance * (sigma / sigma.sum())[:top_k].mean())


TUNERS = {  # learning rate, weights of the regularisers, top_k
    "linear-probe": (0.01, None, 0),
    "mlp": (0.001, None, 0),
    "nmtune official": (0.001, (1.0, 0.04, 0.001), 5),
    "nmtune paper": (0.001, (0.01, 0.01, 0.01), 1),
}


def train(name, x, y, classes, epochs, seed):
    torch.manual_seed(seed)
    lr, weights, top_k = TUNERS[name]
    model = make_linear(x.shape[1], classes) if name == "linear-probe" else Mlp(x.shape[1], classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
    batch = 64
    steps = epochs * math.ceil(len(x) / batch)
    step = 0
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            if len(rows) < 2:
                continue
            for group in optimizer.param_groups:
                group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            f, labels = x[rows], y[rows]
            if name == "linear-probe":
                loss = F.cross_entropy(model(f), labels)
            else:
                z = model.features(f)
                loss = F.cross_entropy(model.head(z), labels)
                if weights is not None:
                    loss = loss + regularisers(z, f, weights, top_k)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return model.eval()


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
    for name in TUNERS:
        accuracies = []
        for seed in range(args.seeds):
            model = train(name, x, y, classes, args.epochs, seed)
            with torch.no_grad():
                accuracies.append(100 * (model(test_x).argmax(1) == test_y).float().mean().item())
        results["accuracy"][name] = {"mean": round(np.mean(accuracies), 3), "deviation": round(np.std(accuracies, ddof=1), 3)}
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
