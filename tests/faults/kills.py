"""kill -9 at random moments of a run with many cells: equal rows at the end, memory and descriptors flat.

usage: kills.py PROGRAM CELLS KILLS [SEED]

CELLS heads on frozen features, in small stacks, first undisturbed, with a look at memory and open files all the time.
Then the same run is killed again and again until it has finished; where that took fewer than KILLS, again from an empty
database and cache.
"""
import array
import os
import random
import sys
import tempfile
import time

from bench import Bench, rows

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from npy_file import write_npy

MATRIX = """[matrix]
name = "kills"
seeds = [{seeds}]
[[pretrain]]
encoder = {{ plugin = "identity" }}
[[task]]
name  = "blobs"
train = {{ plugin = "features", x = "../x.npy", y = "../y.npy" }}
[[task.test]]
kind = "id"
data = {{ plugin = "features", x = "../x.npy", y = "../y.npy" }}
[[tuner]]
plugin = "linear-probe"
epochs = 1
lr = [{lr}]
"""
RATES = 100
FLAT = 1.15  # what counts as the same memory; allocators keep what they had


def write_data(folder, rng):
    labels = [i % 4 for i in range(64)]
    values = array.array("f", [rng.gauss(3 * (label == d), 1) for label in labels for d in range(8)])
    write_npy(os.path.join(folder, "x.npy"), "<f4", (64, 8), values)
    write_npy(os.path.join(folder, "y.npy"), "<i8", (64,), array.array("q", labels))


def usage(pid):
    """Memory in MB and open files; nothing when the process is gone."""
    try:
        with open(f"/proc/{pid}/status") as lines:
            memory = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]
        return (memory[0], len(os.listdir(f"/proc/{pid}/fd"))) if memory else None
    except OSError:
        return None


def watch(process, seconds=None):
    """Until it ends, or is killed after so many. Memory and open files every 20 ms."""
    begin, seen = time.time(), []
    while process.poll() is None:
        seen.append(usage(process.pid))
        if seconds is not None and time.time() - begin > seconds:
            process.kill()
            break
        time.sleep(0.02)
    error = process.stderr.read()
    process.wait()
    return [one for one in seen if one], error, time.time() - begin


def mean(values):
    return sum(values) / max(1, len(values))


def lives(bench, longest, rng, most):
    """Kills until the run has finished, at most so many. Memory and open files of each life, at its end."""
    ends, kills = [], 0
    while kills < most:
        process = bench.start()
        seen, error, seconds = watch(process, rng.uniform(0, longest))
        if process.returncode == 0:
            return kills, ends, True
        if process.returncode != -9:
            sys.exit(f"ended with {process.returncode}: {error[-2000:]}")
        kills += 1
        ends.append((seconds, *seen[-1]) if seen else (seconds, 0, 0))
        if os.path.exists(bench.database):
            rows(bench.database)  # opens, whole
    return kills, ends, False


def main():
    cells, kills = int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 2026)
    matrix = MATRIX.format(seeds=", ".join(str(i) for i in range(cells // RATES)),
                           lr=", ".join(f"{1e-3 * (i + 1):g}" for i in range(RATES)))
    failed = []
    with tempfile.TemporaryDirectory() as top:
        write_data(top, rng)
        calm, rough = (Bench(sys.argv[1], "", os.path.join(top, name), matrix, ["--stack-heads", "50", "--quiet"])
                       for name in ("calm", "rough"))
        seen, error, whole = watch(calm.start())
        expected = calm.rows()
        start = watch(calm.start())[2]  # nothing is left to do
        done = len({row[0] for row in expected})
        print(f"undisturbed: {done} cells, {len(expected)} rows, {whole:.1f} s, of these {start:.1f} s to start", flush=True)
        if done != cells:
            sys.exit(f"{cells} cells expected: {error[-2000:]}")
        middle, late = seen[len(seen) // 3:len(seen) // 2], seen[-len(seen) // 6:]
        for what, index in (("MB of memory", 0), ("open files", 1)):
            before, after = max(one[index] for one in middle), max(one[index] for one in late)
            print(f"{what}: {before:.0f} in the middle, {after:.0f} at the end, {max(one[index] for one in seen):.0f} at most")
            if after > FLAT * before:
                failed.append(f"{what} grow")
        # so that a life makes on average as much progress as a kill should cost, twice: some fall into the start
        longest = start + max(0.2, (4 * start * max(0.1, whole - start) / kills) ** 0.5)
        total, rounds, ends = 0, 0, []
        while total < kills:
            rough.clear()
            rounds += 1
            count, of_round, finished = lives(rough, longest, rng, kills - total)
            total += count
            ends += of_round
            if not finished and rough.run().returncode != 0:
                failed.append("the last run did not end with status 0")
            if rough.rows() != expected:
                same = len(set(rough.rows()) & set(expected))
                failed.append(f"round {rounds}: {same} of {len(expected)} rows")
            if not rough.cache_is_whole():
                failed.append("the cache is damaged")
            if rough.files() != calm.files():
                failed.append(f"files: {sorted(set(rough.files()) ^ set(calm.files()))[:20]}")
        at_work = [end for end in ends if end[0] > start]
        third = len(at_work) // 3
        for what, index in (("MB of memory", 1), ("open files", 2)):
            first, last = (mean([end[index] for end in part]) for part in (at_work[:third], at_work[-third:]))
            print(f"{what} of lives when they were killed: {first:.0f} in the first third, {last:.0f} in the last")
            if third > 5 and last > FLAT * first:
                failed.append(f"{what} grow from life to life")
        print(f"{total} kills, {len(at_work)} of them at work, in {rounds} runs: "
              f"{'; '.join(failed) if failed else 'equal rows, files and memory'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
