#!/usr/bin/env python3
"""nmlbench against plain PyTorch, both on this machine, in turns.

usage: compare.py [--pairs N] [--only SUBSTRING] [--out FILE]

Every row measures ours and the peer's alternately, N pairs, and reports the median of the pairs' ratios. Both sides get
the same features, minibatch size and number of steps, and each the number of threads that suits it best, found first.
Ours are the Google Benchmark programs of benchmarks/, built as ./dev bench builds them.
"""
import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time

import torch
from torch.nn import functional as F

import nml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, os.environ.get("NMLBENCH_PROGRAM_DIR", "build"), "nmlbench_bench")
ROWS, DIM, CLASSES = 64, 512, 10


def seconds_of(work, at_least=0.3):
    """Median seconds of one call, after one to warm up."""
    work()
    times, begin = [], time.perf_counter()
    while time.perf_counter() - begin < at_least or len(times) < 3:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ours(name, threads, per=1.0):
    """Seconds of one iteration of a Google Benchmark, divided by `per`."""
    result = subprocess.run([PROGRAM, f"--benchmark_filter=^{name}$", "--benchmark_format=json",
                             "--benchmark_min_time=0.3"], check=True, capture_output=True, text=True,
                            env=dict(os.environ, OMP_WAIT_POLICY="passive", NMLBENCH_THREADS=str(threads)))
    run = json.loads(result.stdout)["benchmarks"][0]
    unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[run["time_unit"]]
    return run["real_time"] * unit / per


def head_step(name):
    trainer = nml.HeadTrainer(name, DIM, CLASSES, 10**6)
    f, labels = torch.randn(ROWS, DIM), torch.randint(CLASSES, (ROWS,))
    return lambda: trainer.step(f, labels)


def whole_fits(name, units, lrs, epochs, rows=1024):
    """One head after the other; the seconds of all of them."""
    x, y = torch.randn(rows, DIM), torch.randint(CLASSES, (rows,))

    def work():
        for seed in range(units):
            for lr in lrs:
                nml.train_head(name, x, y, CLASSES, epochs, seed, lr=lr)
    return work


def loss_and_gradient(loss, rows=128, dim=2048):
    z = torch.randn(rows, dim, requires_grad=True)
    return lambda: torch.autograd.grad(loss(z), z)


def pretraining(bf16, batch=128):
    trainer = nml.Pretrainer(80, 10**6, 0, bf16)
    images = torch.randint(256, (batch, 3, 32, 32), dtype=torch.uint8)
    labels = torch.randint(80, (batch,))
    return lambda: trainer.step(images, labels)


class Bar:
    """what: the row's title; ours(threads), peer() -> seconds for the same amount of work; target: the least ratio."""

    def __init__(self, what, unit, target, ours, peer, flops=None, peer_repeats=True):
        self.what, self.unit, self.target, self.ours, self.flops = what, unit, target, ours, flops
        self.work = peer
        self.peer = (lambda: seconds_of(peer)) if peer_repeats else (lambda: timed_once(peer))


def timed_once(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bars():
    mlp_flops = 5 * 2 * ROWS * DIM * 4 * DIM + 3 * 2 * ROWS * DIM * CLASSES
    probe_flops = 2 * 2 * ROWS * DIM * CLASSES
    steps = 1024 // ROWS
    yield Bar("NMTune, one head, M = 64, D = 512: a step", "head-step", 3,
              lambda t: ours("train_step/nmtune/units:1/heads:1/real_time", t), head_step("nmtune official"), mlp_flops)
    yield Bar("NMTune, 16 heads: per head-step of a whole fit", "head-step", 6,
              lambda t: ours("fit/nmtune/units:16/heads:1/stacked:1/epochs:8/real_time", t, 16 * 8 * steps),
              head_step("nmtune official"), mlp_flops)
    yield Bar("MLP, one head: a step", "head-step", None,
              lambda t: ours("train_step/mlp/units:1/heads:1/real_time", t), head_step("mlp"), mlp_flops)
    yield Bar("MLP, 45 heads: the whole fit", "45 heads, 2 epochs", 3,
              lambda t: ours("fit/mlp/units:45/heads:1/stacked:1/epochs:2/real_time", t),
              whole_fits("mlp", 45, [0.001], 2), 45 * 2 * steps * mlp_flops, peer_repeats=False)
    yield Bar("Linear probe, 45 heads (15 features x 3 step sizes): the whole fit", "45 heads, 30 epochs", 8,
              lambda t: ours("fit/linear_probe/units:15/heads:3/stacked:8/epochs:30/real_time", t),
              whole_fits("linear-probe", 15, [0.1, 0.01, 0.001], 30), 45 * 30 * steps * probe_flops, peer_repeats=False)
    yield Bar("Covariance loss and gradient, 128 x 2048, against the D x D formula", "evaluation", 15,
              lambda t: ours("covariance/128/2048/real_time", t), loss_and_gradient(nml.covariance),
              2 * 2 * 128 * 128 * 2048)
    yield Bar("Dominance loss and gradient, 128 x 2048, against svdvals under autograd", "evaluation", 8,
              lambda t: ours("dominance/128/2048/real_time", t), loss_and_gradient(lambda z: nml.dominance(z, 5)),
              2 * 2 * 128 * 128 * 2048)
    yield Bar("Pre-training step of resnet-tiny, ours bf16, peer fp32 as PyTorch comes", "128 images", 1.5,
              lambda t: ours("pretrain/bf16:1/real_time", t, 4 * t), pretraining(False))
    yield Bar("Pre-training step of resnet-tiny, both bf16 and channels-last", "128 images", 1,
              lambda t: ours("pretrain/bf16:1/real_time", t, 4 * t), pretraining(True))


def best_threads(measure):
    """The thread count with the shortest time, of 1 and all cores."""
    counts = sorted({1, os.cpu_count()})
    return min(counts, key=measure)


def peer_time(bar, threads):
    torch.set_num_threads(threads)
    return bar.peer()


def gemm_rate(threads):
    """GFLOP/s of a large float32 product: what the machine can do."""
    flops = 2 * 1024**3
    return flops / ours("gemm/1024/real_time", threads) / 1e9


def measure(bar, pairs):
    our_threads = best_threads(bar.ours)
    peer_threads = best_threads(lambda t: peer_time(bar, t))
    runs = []
    for _ in range(pairs):
        runs.append((bar.ours(our_threads), peer_time(bar, peer_threads)))
    ratios = sorted(peer / own for own, peer in runs)
    own = statistics.median(r[0] for r in runs)
    return {"own": own, "peer": statistics.median(r[1] for r in runs), "ratio": statistics.median(ratios),
            "low": ratios[0], "high": ratios[-1], "threads": (our_threads, peer_threads),
            "gflops": bar.flops / own / 1e9 if bar.flops else None}


def row_of(bar, result, rate):
    gflops = "" if result["gflops"] is None else f"{result['gflops']:.0f} ({100 * result['gflops'] / rate:.0f} %)"
    target = "" if bar.target is None else f"{bar.target:g}x{'' if result['ratio'] >= bar.target else ' **missed**'}"
    return (f"| {bar.what} | {bar.unit} | {1e3 * result['own']:.3g} ms | {1e3 * result['peer']:.3g} ms "
            f"| {result['ratio']:.1f}x ({result['low']:.1f} - {result['high']:.1f}) | {target} "
            f"| {result['threads'][0]} / {result['threads'][1]} | {gflops} |")


def cpu_name():
    with open("/proc/cpuinfo") as info:
        return next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", default=os.path.join(ROOT, "benchmarks", "RESULTS.md"))
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    rate = gemm_rate(os.cpu_count())
    lines = [f"CPU: {cpu_name()}, {os.cpu_count()} cores; PyTorch {torch.__version__}; {time.strftime('%Y-%m-%d')}; "
             f"{args.pairs} pairs a row. A product of 1024 x 1024 float32 matrices runs at {rate:.0f} GFLOP/s on all cores.",
             "",
             "| What | Unit | Ours | PyTorch | Ratio (lowest - highest pair) | Target | Threads | Our GFLOP/s (of GEMM) |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for bar in bars():
        if args.only not in bar.what:
            continue
        lines.append(row_of(bar, measure(bar, args.pairs), rate))
        print(lines[-1], file=sys.stderr, flush=True)
    write_section(args.out, "\n".join(lines))


def write_section(file, text):
    """Replaces what stands between the markers; the words around it are written by hand."""
    begin, end = "<!-- measured: begin -->", "<!-- measured: end -->"
    with open(file, "a+") as old:  # a file of one's own may be new
        old.seek(0)
        before, _, rest = old.read().partition(begin)
    _, _, after = rest.partition(end)
    with open(file, "w") as new:
        new.write(f"{before}{begin}\n{text}\n{end}{after}")


if __name__ == "__main__":
    main()
