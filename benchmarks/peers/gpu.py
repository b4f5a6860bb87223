#!/usr/bin/env python3
"""Stacks of heads on a GPU against sequential PyTorch on the same card; writes the table of benchmarks/GPU.md.

usage: gpu.py [--device cuda:0] [--rounds N] [--out FILE]

A step of a stack of H heads is H head-steps; PyTorch takes one head at a time. Minibatches are on the card already, on
both sides. The rate is held against a batched product of the stack's own shape, measured beside it.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import time

import torch

import nml
from compare import CLASSES, DIM, PROGRAM, ROOT, ROWS, write_section

TUNERS = {"linear_probe": "linear-probe", "mlp": "mlp", "nmtune": "nmtune official"}
HEADS = (1, 16, 64, 256, 1024)


def peer_rate(name, device, seconds=2.0):
    """Head-steps per second of one head after the other."""
    trainer = nml.HeadTrainer(name, DIM, CLASSES, 10**6)
    trainer.model.to(device)
    f, labels = torch.randn(ROWS, DIM, device=device), torch.randint(CLASSES, (ROWS,), device=device)
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    for _ in range(20):
        trainer.step(f, labels)
    wait()
    steps, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for _ in range(10):
            trainer.step(f, labels)
        wait()
        steps += 10
    return steps / (time.perf_counter() - begin)


def our_counters(pattern, device):
    """{benchmark name: its counters}."""
    result = subprocess.run([PROGRAM, f"--benchmark_filter={pattern}", "--benchmark_format=json"], check=True,
                            capture_output=True, text=True, env=dict(os.environ, NMLBENCH_DEVICE=device))
    return {run["name"]: run for run in json.loads(result.stdout)["benchmarks"]}


def rows_of(key, name, device, rounds, limit):
    theirs = statistics.median(peer_rate(name, device) for _ in range(rounds))
    runs = [our_counters(f"^train_step/{key}/units:[0-9]+/heads:1/", device) for _ in range(rounds)]
    for heads in HEADS:
        found = [run for names in runs for bench, run in names.items() if f"units:{heads}/" in bench]
        if not found:
            continue
        ours = statistics.median(run["head-steps/s"] for run in found)
        gflops = statistics.median(run["GFLOP/s"] for run in found)
        share = f"{gflops:.0f} ({100 * gflops / limit:.0f} %)" if key != "linear_probe" else f"{gflops:.0f}"
        yield f"| {name} | {heads} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f}x | {share} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", default=os.path.join(ROOT, "benchmarks", "GPU.md"))
    args = parser.parse_args()
    card = torch.cuda.get_device_name(0) if args.device.startswith("cuda") else platform.processor() or "CPU"
    limit = max(run["GFLOP/s"] for run in our_counters("^stacked_gemm/64/", args.device).values())
    lines = [f"{card}; PyTorch {torch.__version__}; {time.strftime('%Y-%m-%d')}; median of {args.rounds} rounds; M = {ROWS}, "
             f"D = {DIM}, {CLASSES} classes. The batched product of the MLP's shape runs at {limit:,.0f} GFLOP/s.", "",
             "| Tuner | Heads | Our head-steps/s | PyTorch's | Ratio | Our GFLOP/s (of the product's) |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for key, name in TUNERS.items():
        for line in rows_of(key, name, args.device, args.rounds, limit):
            print(line, flush=True)
            lines.append(line)
    if not os.path.exists(args.out):
        with open(args.out, "w") as file:
            file.write("# On a GPU\n`benchmarks/gpu.sh` wrote the table below.\n\n<!-- measured: begin -->\n<!-- measured: end -->\n")
    write_section(args.out, "\n".join(lines))


if __name__ == "__main__":
    main()
