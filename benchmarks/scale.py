#!/usr/bin/env python3
"""Time and memory of plans of many cells on frozen features: linear probes of 5 tasks, half and all of the rows.

usage: scale.py [PROGRAM]

Prints a row for each size. The largest plan's cells of one step size are run again by themselves: their losses must not
depend on what else was in the stacks.
"""
import os
import sqlite3
import subprocess
import sys
import tempfile
import time

import numpy as np

SIZES = {100: (5, 2, 1), 1000: (10, 2, 5), 10000: (20, 5, 10), 40000: (40, 10, 10)}  # step sizes, decays, seeds


def write_features(folder):
    draws = np.random.default_rng(0)
    for task in range(5):
        centres = draws.normal(size=(10, 64)) * 0.6
        for split, rows in ("train", 1000), ("id", 500), ("ood", 500):
            y = draws.integers(0, 10, rows)
            np.save(f"{folder}/x{task}{split}.npy", (centres[y] + draws.normal(size=(rows, 64))).astype(np.float32))
            np.save(f"{folder}/y{task}{split}.npy", y)


def write_matrix(folder, rates, decays, seeds):
    def data(task, split):
        return f'{{ plugin = "features", x = "x{task}{split}.npy", y = "y{task}{split}.npy" }}'

    text = f'[matrix]\nname = "scale"\nseeds = {list(range(seeds))}\n[[pretrain]]\nencoder = {{ plugin = "identity" }}\n'
    for task in range(5):
        text += f'[[task]]\nname = "task{task}"\nfraction = [0.5, 1.0]\ntrain = {data(task, "train")}\n'
        for kind in "id", "ood":
            text += f'[[task.test]]\nkind = "{kind}"\nname = "{kind}"\ndata = {data(task, kind)}\n'
    text += (f'[[tuner]]\nplugin = "linear-probe"\nepochs = 3\nlr = {[round(1e-3 * 1.15**i, 8) for i in range(rates)]}\n'
             f'weight_decay = {[1e-5 * 2**i for i in range(decays)]}\n')
    with open(f"{folder}/matrix.toml", "w") as file:
        file.write(text)


def timed(folder, *command):
    """Seconds and peak MiB of one command."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)}: status {status}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def run(folder, program, name, *options):
    return timed(folder, program, "run", "matrix.toml", "--db", f"{name}.sqlite", "--cache-dir", name, "--quiet", *options)


def losses(folder, name):
    query = "SELECT cell_id, test_set, value FROM v_results WHERE metric = 'loss'"
    return {row[:2]: row[2] for row in sqlite3.connect(f"{folder}/{name}.sqlite").execute(query)}


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    program = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(root, "build", "nmlbench")
    print("| cells | plan | run | peak memory of the run | losses stored |\n| ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        write_features(folder)
        for cells, shape in SIZES.items():
            write_matrix(folder, *shape)
            plan_seconds, _ = timed(folder, program, "plan", "matrix.toml")
            run_seconds, memory = run(folder, program, f"all{cells}")
            stored = losses(folder, f"all{cells}")
            if len(stored) != 2 * cells:
                sys.exit(f"{cells} cells gave {len(stored)} losses")
            print(f"| {cells:,} | {plan_seconds:.2f} s | {run_seconds:.1f} s | {memory:.0f} MiB | {len(stored):,} |", flush=True)
        run(folder, program, "alone", "--set", "tuner.lr=0.001")
        alone = losses(folder, "alone")
        print(f"\n{len(alone) // 2} of the cells by themselves: losses differ by at most "
              f"{max(abs(stored[key] - value) for key, value in alone.items()):.1e}")


if __name__ == "__main__":
    main()
