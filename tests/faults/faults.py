"""Failures that pass are not for ever.

usage: faults.py PROGRAM LIBRARY FAULTS [SEED]

A small matrix runs undisturbed. Each time one randomly drawn call to the system fails in a run from an empty cache and
database (FAULTS times in all), the plain command afterwards must end with status 0 and the rows of the undisturbed run. A
failing allocation may end the first run by a signal, in libraries that have no answer to it; nothing else may.
"""
import collections
import errno
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile

MATRIX = """[matrix]
name = "faults"
seeds = [0]
[[pretrain]]
encoder = { plugin = "resnet-tiny", width = 4 }
dataset = { plugin = "procedural", split = "pretrain", classes = 4, per_class = 20 }
noise   = { plugin = "symmetric", ratio = [0.0, 0.3] }
optim   = { epochs = 2, batch_size = 32, lr = 0.05 }
[[task]]
name  = "general"
train = { plugin = "procedural", classes = 4, per_class = 20 }
[[task.test]]
kind = "id"
data = { plugin = "procedural", split = "test", classes = 4, per_class = 10 }
[[tuner]]
plugin = "linear-probe"
epochs = 2
lr = [0.01, 0.003]
[[tuner]]
plugin = "mlp"
epochs = 1
"""
ERRORS = {"write": [errno.ENOSPC, errno.EIO, errno.EDQUOT], "fsync": [errno.EIO, errno.ENOSPC],
          "rename": [errno.ENOSPC, errno.EIO], "open": [errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EIO],
          "mmap": [errno.ENOMEM], "reserve": [errno.ENOSPC, errno.EIO], "mkdir": [errno.ENOSPC, errno.EIO],
          "malloc": [errno.ENOMEM]}


def rows(database):
    with sqlite3.connect(database) as db:
        return {row[:3]: row[3] for row in db.execute(
            "SELECT cell_id, test_set, metric, value FROM v_results WHERE status = 'done'")}


class Bench:
    def __init__(self, program, library, folder):
        self.program, self.library, self.folder = program, library, folder
        with open(os.path.join(folder, "m.toml"), "w") as out:
            out.write(MATRIX)

    def run(self, fault=None):
        env = dict(os.environ, NMLBENCH_CACHE_DIR=os.path.join(self.folder, "cache"), OMP_WAIT_POLICY="passive",
                   NMLBENCH_THREADS="2", XDG_DATA_HOME=os.path.join(self.folder, "data-home"))
        if fault:
            env.update(LD_PRELOAD=self.library, NMLBENCH_FAULT=fault, NMLBENCH_FAULT_ROOT=self.folder,
                       NMLBENCH_FAULT_LOG=os.path.join(os.path.dirname(self.folder), "calls"))
        return subprocess.run([self.program, "run", "m.toml", "--db", "out.sqlite"], cwd=self.folder, env=env,
                              capture_output=True, text=True, timeout=120)

    def clear(self):
        shutil.rmtree(os.path.join(self.folder, "cache"), ignore_errors=True)
        for name in os.listdir(self.folder):
            if name.startswith("out.sqlite"):
                os.remove(os.path.join(self.folder, name))


def main():
    program, library = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 2026)
    bad, ends = 0, collections.Counter()
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(top, "work")
        os.mkdir(folder)
        bench = Bench(program, library, folder)
        calm = bench.run("count")
        if calm.returncode != 0:
            sys.exit(f"the undisturbed run failed: {calm.stderr}")
        expected = rows(os.path.join(folder, "out.sqlite"))
        with open(os.path.join(top, "calls")) as log:
            calls = {name: int(count) for name, count in (line.split() for line in log)}
        print(f"{len(expected)} rows; calls: {calls}", flush=True)
        kinds = [name for name, count in calls.items() if count > 0]
        for i in range(int(sys.argv[3])):
            kind = rng.choice(kinds)
            fault = f"{kind}:{rng.randrange(calls[kind])}:{rng.choice(ERRORS[kind])}"
            bench.clear()
            first = bench.run(fault)
            second = bench.run()
            found = rows(os.path.join(folder, "out.sqlite")) if os.path.exists(os.path.join(folder, "out.sqlite")) else {}
            signalled = first.returncode < 0 or first.returncode > 130
            good = second.returncode == 0 and found == expected and not (signalled and kind != "malloc")
            ends[(kind, f"signal {-first.returncode}" if signalled else f"status {first.returncode}")] += 1
            if not good:
                bad += 1
                same = sum(found.get(key) == value for key, value in expected.items())
                print(f"{fault}: first status {first.returncode}, then {second.returncode}, {same} of {len(expected)} rows\n"
                      f"{first.stderr[-1500:]}\n--- then\n{second.stderr[-1500:]}", flush=True)
    for (kind, end), count in sorted(ends.items()):
        print(f"{kind:8} {end:12} {count}")
    print(f"{sys.argv[3]} faults, {bad} that did not pass")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
