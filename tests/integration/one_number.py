"""One cell, one number: a cell's result must not depend on what else a run computes, nor on how it is packed.

usage: one_number.py PROGRAM ROUNDS [SEED]

Two whole grids are run once: one that pre-trains, and one on frozen features that are wide enough for an operation to
share itself out over threads. Each round then draws a sub-grid of one of them (tuners, step sizes, decays, seeds,
fractions, noise ratios, views), a stack size, a number of threads and a way to run it (in one go, in shards, killed and
resumed, by two or three workers), starts from an empty cache, and merges its rows into the whole: `merge` must find no
conflict, and must add nothing. All rows have to be equal to the last bit.
"""
import array
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from npy_file import write_npy

TUNERS = ["linear-probe", "mlp", "nmtune official", "nmtune paper", "nmtune covariance"]
TRAINED = {
    "seeds": [0, 1, 2],
    "ratio": [0.0, 0.3],
    "fraction": [0.1, 0.3, 1.0],
    "views": ["", "views = { count = 3, augment = \"shift\", shift = 2 }",
              "views = { count = 4, augment = \"shift\", shift = 2, pairs = true }"],
    "tuner": TUNERS,
    "lr": [0.03, 0.01, 0.002],
    "weight_decay": [1e-4, 1e-2],
}
FROZEN = {"seeds": [0, 1], "fraction": [0.4, 1.0], "tuner": TUNERS, "lr": [0.03, 0.01, 0.002], "weight_decay": [1e-4]}
CLASSES, WIDTH = 10, 520
STACKS = ["", "1", "2", "3", "5", "16"]


def listed(values):
    return "[" + ", ".join(str(v) for v in values) + "]"


def write_features(folder):
    rng = random.Random(1)
    centres = [[rng.gauss(0, 0.3) for _ in range(WIDTH)] for _ in range(CLASSES)]
    for split, rows_of_split in (("train", 300), ("test", 600)):
        labels = [i % CLASSES for i in range(rows_of_split)]
        x = array.array("f", (c + rng.gauss(0, 1) for label in labels for c in centres[label]))
        write_npy(os.path.join(folder, f"{split}_x.npy"), "<f4", (rows_of_split, WIDTH), x)
        write_npy(os.path.join(folder, f"{split}_y.npy"), "<i8", (rows_of_split,), array.array("q", labels))


def frozen_tasks(grid):
    return f"""[matrix]
name = "frozen"
seeds = {listed(grid["seeds"])}
[[pretrain]]
encoder = {{ plugin = "identity" }}
[[task]]
name = "wide"
train = {{ plugin = "features", x = "train_x.npy", y = "train_y.npy" }}
fraction = {listed(grid["fraction"])}
[[task.test]]
kind = "id"
data = {{ plugin = "features", x = "test_x.npy", y = "test_y.npy" }}
"""


def trained_tasks(grid):
    data = "plugin = \"procedural\", classes = 4"
    text = f"""[matrix]
name = "grid"
seeds = {listed(grid["seeds"])}
[[pretrain]]
encoder = {{ plugin = "resnet-tiny", width = 4 }}
dataset = {{ {data}, split = "pretrain", per_class = 40 }}
noise   = {{ plugin = "symmetric", ratio = {listed(grid["ratio"])} }}
optim   = {{ epochs = 2, batch_size = 32, lr = 0.05 }}
"""
    for views in grid["views"]:
        name = "plain" if not views else "pairs" if "pairs" in views else "views"
        text += f"""[[task]]
name = "{name}"
train = {{ {data}, per_class = 80 }}
fraction = {listed(grid["fraction"])}
{views}
[[task.test]]
kind = "id"
data = {{ {data}, split = "test", per_class = 10 }}
[[task.test]]
kind = "ood"
data = {{ {data}, split = "test", per_class = 10, domain = "sketch" }}
"""
    return text


def matrix(grid):
    text = trained_tasks(grid) if "ratio" in grid else frozen_tasks(grid)
    for tuner, _, preset in (tuner.partition(" ") for tuner in grid["tuner"]):
        extra = "hidden = 2\n" if tuner == "nmtune" else ""
        if preset == "covariance":  # alone: the others' weights are zero
            extra += "dominance = 0.0\nconsistency = 0.0\n"
        elif preset:
            extra += f"preset = \"{preset}\"\n"
        text += f"""[[tuner]]
plugin = "{tuner}"
epochs = 3
batch_size = 30
lr = {listed(grid["lr"])}
weight_decay = {listed(grid["weight_decay"])}
{extra}"""
    return text


def rows(database):
    with sqlite3.connect(database) as db:
        return {row[:3]: row[3] for row in db.execute(
            "SELECT cell_id, test_set, metric, value FROM v_results WHERE status = 'done'")}


class Runner:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def environment(self, cache, stack, threads):
        env = dict(os.environ, NMLBENCH_CACHE_DIR=cache, NMLBENCH_THREADS=str(threads), OMP_WAIT_POLICY="passive",
                   XDG_DATA_HOME=os.path.join(self.folder, "data-home"))
        env["NMLBENCH_STACK_HEADS"] = stack or "0"
        return env

    # What a run prints; ends the program when it fails.
    def call(self, arguments, env):
        done = subprocess.run([self.program, *arguments], cwd=self.folder, env=env, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def run_whole(self, name, axes):
        with open(os.path.join(self.folder, f"{name}.toml"), "w") as out:
            out.write(matrix(axes))
        database = os.path.join(self.folder, f"{name}.sqlite")
        self.call(["run", f"{name}.toml", "--quiet", "--db", database],
                  self.environment(os.path.join(self.folder, "cache"), "", 2))
        print(f"{name}: {len(rows(database))} rows", flush=True)
        return database

    def kill_in_between(self, arguments, env, after):
        victim = subprocess.Popen([self.program, *arguments], cwd=self.folder, env=env, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        time.sleep(after)
        victim.kill()
        victim.wait()


def draw_grid(rng, axes):
    return {axis: sorted(rng.sample(values, rng.randint(1, len(values))), key=str) for axis, values in axes.items()}


def one_round(runner, number, rng, axes, whole):
    grid, stack, threads = draw_grid(rng, axes), rng.choice(STACKS), rng.choice([1, 2, 3])
    way = rng.choice(["whole", "shards", "killed", "workers"])
    cache = tempfile.mkdtemp(dir=runner.folder)
    env = runner.environment(cache, stack, threads)
    with open(os.path.join(runner.folder, "part.toml"), "w") as out:
        out.write(matrix(grid))
    parts = []
    shards = rng.randint(2, 3) if way == "shards" else 1
    for i in range(shards):
        parts.append(f"round{number}.{i}.sqlite")
        command = ["run", "part.toml", "--quiet", "--db", parts[-1], "--shard", f"{i + 1}/{shards}"]
        if way == "workers":
            command += ["--workers", str(rng.randint(2, 3))]
            command.remove("--shard")
            command.remove("1/1")
        if way == "killed":
            runner.kill_in_between(command, env, rng.uniform(0.3, 2.0))
        runner.call(command, env)
    shutil.copy(whole, os.path.join(runner.folder, "merged.sqlite"))
    merged = subprocess.run([runner.program, "merge", "merged.sqlite", *parts], cwd=runner.folder,
                            capture_output=True, text=True)
    expected, found = rows(whole), {}
    for part in parts:
        found.update(rows(os.path.join(runner.folder, part)))
    apart = {key: abs(value - expected[key]) for key, value in found.items() if value != expected.get(key)}
    metrics = ", ".join(sorted({metric for _, _, metric in apart}))
    print(f"round {number}: {len(found)} {'trained' if 'ratio' in grid else 'frozen'} rows, {way} x{shards}, stacks of {stack or 'measured size'}, "
          f"{threads} threads: " + (f"{len(apart)} differ, by {max(apart.values()):.2g} at most ({metrics})" if apart
                                    else "equal in every bit"), flush=True)
    for part in parts:
        os.remove(os.path.join(runner.folder, part))
    os.remove(os.path.join(runner.folder, "merged.sqlite"))
    shutil.rmtree(cache)
    good = merged.returncode == 0 and " 0 cells added" in merged.stdout and found and not apart
    if not good:
        print(f"{matrix(grid)}\n{merged.stdout}{merged.stderr}", flush=True)
    return bool(good)


def main():
    program, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 2026)
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(program, folder)
        write_features(folder)
        wholes = [(axes, runner.run_whole(f"whole{i}", axes)) for i, axes in enumerate((TRAINED, FROZEN))]
        bad = sum(not one_round(runner, i, rng, *wholes[i % 2]) for i in range(1, rounds + 1))
    print(f"{rounds} rounds, {bad} with conflicts or other bits")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
