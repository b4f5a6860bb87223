#!/usr/bin/env python3
"""The tuner `logistic` against scikit-learn's LogisticRegression: a sweep of C as DINOv3 does it (45 values, 10^linspace(-6, 5, 45), L-BFGS in
float64, tol = 1e-12, max_iter = 1000), both whole programs, in turns.

usage: logistic.py [--pairs N] [--rows N] [--features D] [--classes K] [--values N] [--threads N] [--program build/nmlbench] [--sklearn PYTHON]

Features are rectified mixtures of correlated Gaussians. Ours reads them from the cache, fits, measures loss and calibration of each head on the same rows and
writes a database; the peer (this file called with --peer by a Python that has scikit-learn) reads them, fits one C after the other, and measures the loss. Wall
and processor time of each, and how far the losses are apart, are printed for float64 and float32.
"""
import argparse
import os
import pathlib
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

MATRIX = """
[matrix]
name  = "sweep"
seeds = [0]
[[pretrain]]
encoder = {{ plugin = "identity" }}
[[task]]
name  = "t"
train = {{ plugin = "features", x = "x.npy", y = "y.npy" }}
[[task.test]]
kind = "id"
data = {{ plugin = "features", x = "x.npy", y = "y.npy" }}
[[tuner]]
plugin = "logistic"
C = {penalties}
{more}
"""
TYPES = {"float64": "", "float32": 'dtype = "float32"\ntolerance = 1e-5'}


def write_features(folder, rows, features, classes):
    draw = numpy.random.default_rng(0)
    sources = features // 2
    scale = (1 + numpy.arange(sources)) ** -0.6
    y = draw.integers(0, classes, rows)
    z = (draw.normal(size=(classes, sources)) * scale)[y] + draw.normal(size=(rows, sources)) * scale
    x = numpy.maximum(z @ draw.normal(size=(sources, features)) + 0.3 * draw.normal(size=(rows, features)), 0) * 0.3
    numpy.save(folder / "x.npy", x.astype("f4"))
    numpy.save(folder / "y.npy", y)


def sweep(values):
    return [float(f"{c:.6g}") for c in 10 ** numpy.linspace(-6, 5, values)]


def peer(values):
    from sklearn.linear_model import LogisticRegression

    x, y = numpy.load("x.npy").astype("f8"), numpy.load("y.npy")
    for c in sweep(values):
        model = LogisticRegression(C=c, tol=1e-12, max_iter=1000).fit(x, y)
        print(c, -model.predict_log_proba(x)[numpy.arange(len(y)), y].mean(), int(numpy.max(model.n_iter_)), flush=True)


def timed(command, folder, threads=""):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    out = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True,
                         env=dict(os.environ, OMP_WAIT_POLICY="passive", **({"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads} if threads else {}))).stdout
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out


def losses_of(db):
    with sqlite3.connect(db) as connection:
        return dict(connection.execute("SELECT tuner_params ->> 'C', value FROM v_results WHERE metric = 'loss'"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1078)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--values", type=int, default=45)
    parser.add_argument("--threads", default="1", help="of scikit-learn; ours has all cores, one for each stack")
    parser.add_argument("--program", default="build/nmlbench")
    parser.add_argument("--sklearn", default=sys.executable)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        return peer(options.values)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_features(folder, options.rows, options.features, options.classes)
        for kind, more in TYPES.items():
            (folder / f"{kind}.toml").write_text(MATRIX.format(penalties=sweep(options.values), more=more))
        ours = lambda kind: [pathlib.Path(options.program).resolve(), "--cache-dir", "cache", "run", f"{kind}.toml", "--quiet", "--db", f"{kind}.sqlite"]
        theirs = [options.sklearn, pathlib.Path(__file__).resolve(), "--peer", "--values", str(options.values)]
        timed(ours("float64"), folder)  # encodes
        times = {"scikit-learn": []} | {kind: [] for kind in TYPES}
        for _ in range(options.pairs):
            for kind in TYPES:
                for old in folder.glob(f"{kind}.sqlite*"):
                    old.unlink()
                times[kind].append(timed(ours(kind), folder)[:2])
            *spent, printed = timed(theirs, folder, options.threads)
            times["scikit-learn"].append(spent)
        lines = [line.split() for line in printed.splitlines()]
        print(f"{options.rows} x {options.features}, {options.classes} classes, {options.values} values of C; scikit-learn: "
              f"{sum(int(line[2]) for line in lines)} iterations, {sum(int(line[2]) >= 1000 for line in lines)} fits not converged")
        for kind, pairs in times.items():
            wall, cpu = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
            line = f"{kind}: {wall:.2f} s wall, {cpu:.2f} s of processors"
            if kind in TYPES:
                found = losses_of(folder / f"{kind}.sqlite")
                apart = max(abs(found[float(c)] - float(loss)) for c, loss, _ in lines)
                ratios = [[peers[i] / own[i] for own, peers in zip(pairs, times["scikit-learn"])] for i in (0, 1)]
                line += "; scikit-learn takes " + ", ".join(
                    f"{statistics.median(r):.1f}x ({min(r):.1f} - {max(r):.1f}) the {what}" for r, what in zip(ratios, ("wall", "processor time")))
                line += f"; losses differ by {apart:.1e} at most"
            print(line)


if __name__ == "__main__":
    main()
