"""What happens to runs: two at once, interruptions, clocks, time limits, a process killed for want of memory.

usage: scenarios.py PROGRAM LIBRARY SCENARIO

Each ends in the rows of an undisturbed run.
"""
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time

from bench import Bench

DAY = 86400


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


def expect_done(finished):
    expect(finished.returncode == 0, f"status {finished.returncode}\n{finished.stderr}")


def ask(database, question):
    with sqlite3.connect(database) as db:
        return db.execute(question).fetchall()


class Scenes:
    def __init__(self, program, library, top):
        self.make = lambda name, **more: Bench(program, library, os.path.join(top, name), **more)
        self.calm = self.make("calm")
        expect_done(self.calm.run())
        self.expected = self.calm.rows()

    def expect_rows(self, bench):
        expect(bench.rows() == self.expected, f"{len(bench.rows())} rows, others than the undisturbed {len(self.expected)}")
        expect(bench.cache_is_whole(), "the cache is damaged")

    def two(self):
        """Two processes on one database and one cache."""
        bench = self.make("both")
        both = [bench.start(), bench.start()]
        for process in both:
            error = process.communicate()[1]
            expect(process.returncode == 0, f"status {process.returncode}\n{error}")
        self.expect_rows(bench)
        trained = ask(bench.database, "SELECT count(*) FROM v_log WHERE message LIKE 'trained resnet-tiny%'")
        expect(trained == [(2,)], f"checkpoints were trained {trained} times instead of 2")

    def interrupts(self):
        """SIGINT once, and twice, at random moments."""
        rng = random.Random(2026)
        began = time.time()
        expect_done(self.make("timed").run())
        whole = time.time() - began
        for signals in (1, 2):
            bench = self.make(f"interrupted{signals}")
            interrupted = 0
            for _ in range(5):
                process = bench.start()
                time.sleep(rng.uniform(0.1, 0.9) * whole)
                process.send_signal(signal.SIGINT)
                if signals == 2:
                    time.sleep(rng.uniform(0, 0.1))
                    process.send_signal(signal.SIGINT)
                sent = time.time()
                error = process.communicate()[1]
                expect(process.returncode in (0, 130, -2), f"status {process.returncode}\n{error}")
                expect(time.time() - sent < 5, "an interrupted run went on")
                interrupted += process.returncode != 0
            expect(interrupted > 0, "every run ended before it was interrupted")
            expect_done(bench.run())
            self.expect_rows(bench)

    def lost(self):
        """The cache has lost features, and the database what was measured on them: it is measured again, nothing trained."""
        bench = self.make("lost")
        expect_done(bench.run())
        with sqlite3.connect(bench.database) as db:
            db.execute("DELETE FROM alignments")
        for kind in ("features", "measurements"):
            shutil.rmtree(os.path.join(bench.folder, "cache", kind))
        trainings = "SELECT count(*) FROM v_log WHERE message LIKE 'trained resnet-tiny%'"
        before = ask(bench.database, trainings)
        expect_done(bench.run())
        self.expect_rows(bench)
        expect(ask(bench.database, trainings) == before, "a checkpoint was trained again")

    def clock(self):
        """The clock goes back by a day between two plans in one database: the newer plan stays the newer one."""
        bench = self.make("clock")
        expect_done(bench.run(f"clock:{DAY}:0"))
        self.expect_rows(bench)
        newer = ["--set", "tuner[1].epochs=2"]
        for workers in ([], ["--workers", "2"]):
            newer[-1] += "" if not workers else "0"  # yet another plan
            expect_done(bench.run(more=newer + workers))
            plan = "SELECT count(*) FROM cells WHERE NOT superseded"
            expect(ask(bench.database, plan) == [(6,)], f"cells of the newest plan: {ask(bench.database, plan)}")
            newest = ask(bench.database, "SELECT matrix_json FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 1")
            last = ask(bench.database, "SELECT matrix_json FROM runs ORDER BY run_id DESC LIMIT 1")
            expect(newest == last, "the run with the newest plan does not have the newest start")
        # merged with a database that holds the first plan
        finished = bench.verb("merge", os.path.join(bench.folder, "all.sqlite"), self.calm.database, bench.database)
        expect_done(finished)
        merged = os.path.join(bench.folder, "all.sqlite")
        ids = "SELECT cell_id FROM cells WHERE NOT superseded ORDER BY 1"
        expect(ask(merged, ids) == ask(bench.database, ids), "merging took an older plan for the newest")

    def timeout(self):
        """Trainings past their time limit fail, and say so; without the limit they are done."""
        longer = ["--set", "pretrain.optim.epochs=100"]
        calm, bench = self.make("longer", arguments=longer), self.make("timeout", arguments=longer)
        expect_done(calm.run())
        self.expected = calm.rows()
        first = bench.run(more=["--isolate", "all", "--cell-timeout", "1"])
        expect(first.returncode == 1 and "took longer than 1 seconds (--cell-timeout)" in first.stderr,
               f"status {first.returncode}\n{first.stderr}")
        expect("interrupted" not in first.stderr, f"nobody interrupted it\n{first.stderr}")
        expect_done(bench.run(more=["--retry-failed"]))
        self.expect_rows(bench)

    def memory(self):
        """The kernel kills a worker of isolated plugins: its cells fail, and the same command does them."""
        rng = random.Random(2026)
        bench = self.make("memory")
        isolated = ["--isolate", "all"]
        for _ in range(8):
            process = bench.start(more=isolated)
            killed = False
            while process.poll() is None and not killed:
                time.sleep(rng.uniform(0, 0.5))
                for worker in children(process.pid):
                    os.kill(worker, signal.SIGKILL)
                    killed = True
            error = process.communicate()[1]
            expect(process.returncode in (0, 1, 2), f"status {process.returncode}\n{error}")
            expect(process.returncode == 0 or "SIGKILL" in error, error)
        expect_done(bench.run(more=isolated))
        self.expect_rows(bench)


def children(parent):
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline", "rb") as line:
                if int(stat.read().rsplit(")", 1)[1].split()[1]) == parent and b"\0worker\0" in line.read():
                    found.append(int(name))
        except (OSError, ValueError, IndexError):
            continue
    return found


def main():
    program, library, scene = sys.argv[1:]
    with tempfile.TemporaryDirectory() as top:
        try:
            getattr(Scenes(program, library, top), scene)()
        except Failed as why:
            print(f"{scene}: {why}")
            return 1
    print(f"{scene}: the rows of an undisturbed run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
