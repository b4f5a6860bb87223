"""The program on a small matrix, with a fault in one run; what it left is compared with an undisturbed run."""
import os
import re
import sqlite3
import subprocess

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
# What a run leaves that does not depend on when and how it ran.
QUESTIONS = ["SELECT cell_id, test_set, metric, value FROM v_results WHERE status = 'done'",
             "SELECT checkpoint_id, realised_rate FROM v_noise",
             "SELECT checkpoint_id, test_set, angle FROM v_alignment",
             "SELECT cell_id, candidate, chosen, accuracy FROM v_selection",
             "SELECT cell_id, status, superseded FROM cells WHERE superseded OR status <> 'done'",
             "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'"]
SECONDS = 300  # more is hanging


def rows(database):
    if not os.path.exists(database):
        return []
    with sqlite3.connect(database) as db:
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            return []
        return [tuple(row) for question in QUESTIONS for row in sorted(db.execute(question))]


def only(count, what, lines):
    return [] if len(lines) == count else [f"{what}: {len(lines)} instead of {count}: {lines}"]


class Bench:
    """A folder with a matrix, a cache and a database."""

    def __init__(self, program, library, folder, matrix=MATRIX, arguments=()):
        self.program, self.library, self.folder = os.path.abspath(program), os.path.abspath(library), folder
        self.arguments = list(arguments)
        self.database = os.path.join(folder, "out.sqlite")
        self.log = folder + ".calls"
        os.makedirs(folder)
        with open(os.path.join(folder, "m.toml"), "w") as out:
            out.write(matrix)

    def environment(self, fault=None, process=None):
        env = dict(os.environ, NMLBENCH_CACHE_DIR=os.path.join(self.folder, "cache"), OMP_WAIT_POLICY="passive",
                   XDG_DATA_HOME=os.path.join(self.folder, "data-home"), NO_COLOR="1")
        env.setdefault("NMLBENCH_THREADS", "2")
        if fault:
            env.update(LD_PRELOAD=self.library, NMLBENCH_FAULT=fault, NMLBENCH_FAULT_ROOT=self.folder,
                       NMLBENCH_FAULT_LOG=self.log)
        if process:
            env["NMLBENCH_FAULT_IN"] = process
        return env

    def run(self, fault=None, process=None, more=()):
        """The finished process; its status is None when it hung."""
        command = [self.program, "run", "m.toml", "--db", "out.sqlite", *self.arguments, *more]
        try:
            return subprocess.run(command, cwd=self.folder, env=self.environment(fault, process), capture_output=True,
                                  text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired as hung:
            return subprocess.CompletedProcess(command, None, "", (hung.stderr or b"").decode())

    def start(self, fault=None, more=()):
        return subprocess.Popen([self.program, "run", "m.toml", "--db", "out.sqlite", *self.arguments, *more],
                                cwd=self.folder, env=self.environment(fault), stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    def verb(self, *arguments):
        return subprocess.run([self.program, *arguments], cwd=self.folder, env=self.environment(), capture_output=True,
                              text=True)

    def calls(self):
        """Calls of each kind of the last run, and what was made to fail ("KIND N FILE")."""
        counts, fired = {}, []
        if os.path.exists(self.log):
            with open(self.log, errors="replace") as lines:
                for line in lines:
                    if line.startswith("fired "):
                        fired.append(line[6:].strip())
                    else:
                        kind, count = line.split()
                        counts[kind] = counts.get(kind, 0) + int(count)
        return counts, fired

    def clear(self):
        """All but the matrix, and what loading each plugin once in a process of its own found: it takes seconds."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                if name != "m.toml" and os.path.basename(folder) != "plugins":
                    os.remove(os.path.join(folder, name))
        for folder, _, _ in os.walk(self.folder, topdown=False):
            if not os.listdir(folder):
                os.rmdir(folder)
        if os.path.exists(self.log):
            os.remove(self.log)

    def rows(self):
        return rows(self.database)

    def files(self):
        """What is in the folder, by names that are the same in every run. A process that dies may leave its lease and an
        unfinished checkpoint beside the finished one; a measurement that could not be kept is made when it is needed;
        SQLite removes its own files when it can."""
        files = (os.path.relpath(os.path.join(folder, name), self.folder)
                 for folder, _, names in os.walk(self.folder) for name in names)
        return sorted(name for name in files if not re.search(r"^cache/(leases|measurements)/|^cache/.*\.partial$|sqlite-(wal|shm)$", name))

    def cache_is_whole(self):
        return self.verb("doctor", "--cache").returncode == 0


# How a run may say what was wrong, in words of its own; `nmlbench: error:` with status 2, a line of the log with 1.
REASON = re.compile("No space left|disk (or the quota )?is full|quota|[Ii]nput/output|disk I/O|Too many open files|memory|"
                    "[Rr]ead-only|No locks|locked|damaged|cannot be opened|disk cannot read|allocat")


def unclear(finished):
    """What is wrong with the words of a run that ended with status 1 or 2."""
    lines = finished.stderr.splitlines()
    if finished.returncode == 2:
        last = [line for line in lines if line.startswith("nmlbench: error: ")]
        return only(1, "lines with the error", last) + [f"no reason: {line}" for line in last if not REASON.search(line)]
    failed = [line for line in lines if re.search(r"cells failed: |cells were left by workers", line)]
    if not failed:
        return ["nothing says which cells failed"]
    return [f"no reason: {line}" for line in failed if "cells failed" in line and not REASON.search(line)]
