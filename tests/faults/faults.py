"""Each call to the system fails in turn, and the process dies there in turn: never a wrong database, never a silent one.

usage: faults.py PROGRAM LIBRARY [--faults N] [--workers] [--jobs J] [--kinds KIND,...] [--only FAULT,...]

A small matrix runs undisturbed and its calls are counted (fault.h). Then, from an empty cache and database, it runs
with one of them failing (each in turn, or N spread evenly over them); the run has to end by itself with status 0 and all
rows, or 1 or 2 and a reason (or as killed, where it is); the plain command afterwards has to end with status 0, the
database of the undisturbed run and its cache, which `doctor` finds whole, with no file left over. --workers: the same of
--workers 2, in the process that starts them and in one of them.
"""
import argparse
import collections
import concurrent.futures
import errno
import os
import sys
import tempfile
import time

from bench import Bench, unclear

ERRORS = {"write": [errno.ENOSPC, errno.EIO, errno.EDQUOT], "fsync": [errno.EIO, errno.ENOSPC],
          "rename": [errno.ENOSPC, errno.EIO], "open": [errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EIO],
          "reserve": [errno.ENOSPC, errno.EIO], "mkdir": [errno.ENOSPC, errno.EIO], "remove": [errno.EIO],
          "close": [errno.EIO], "mmap": [errno.ENOMEM], "read": [errno.EIO], "list": [errno.EMFILE, errno.EIO],
          "lock": [errno.ENOLCK], "buffer": [errno.ENOMEM], "malloc": [errno.ENOMEM]}
CHANGES = ["write", "fsync", "rename", "open", "reserve", "mkdir", "remove"]  # dying elsewhere is dying before the next
# Of each of these so many at most, spread evenly: there are thousands of allocations of 16 KiB and more, hundreds of
# thousands of all; numbers of bytes that fit on the disk; and moments from which on nothing can be written.
MOST = {"buffer": 200, "malloc": 200, "full": 40, "readonly": 40}


def spread(count, most):
    return [round((i + 0.5) * count / most - 0.5) for i in range(most)] if count > most else list(range(count))


def faults_of(calls, kinds):
    """Of each process that is to have one: a list for each kind."""
    for kind, count in calls.items():
        if kinds and kind not in kinds:
            continue
        numbers = spread(count, MOST.get(kind, count))
        if kind in ("full", "readonly"):
            yield [f"{kind}:{n}:0" for n in numbers]
            continue
        yield [f"{kind}:{n}:{ERRORS[kind][i % len(ERRORS[kind])]}" for i, n in enumerate(numbers)]
        if kind in CHANGES:
            yield [f"{kind}:{n}:kill" for n in numbers]
        if kind == "write":
            yield [f"{kind}:{n}:part" for n in numbers]


def ended(finished):
    if finished.returncode is None:
        return "hung"
    return f"signal {-finished.returncode}" if finished.returncode < 0 else f"status {finished.returncode}"


def problems(fault, process, bench, expected, files):
    """Runs twice. What was wrong, how the first one ended, and where the fault was."""
    bench.clear()
    first = bench.run(fault, process)
    _, fired = bench.calls()
    found = []
    may_die = fault.endswith("kill") and process in (None, "team") and fired
    # a library that has no answer to a lack of memory ends the process; cells and cache are whole all the same
    may_abort = fault.startswith(("malloc", "buffer")) and first.returncode in (-6, -11)
    if may_die and first.returncode != -9:
        found.append(f"was killed and ended with {ended(first)}")
    elif first.returncode == 0 and bench.rows() != expected:
        found.append("status 0 with rows missing")
    elif first.returncode in (1, 2):
        found += unclear(first)
    elif first.returncode != 0 and not may_die and not may_abort:
        found.append(f"the first run ended with {ended(first)}")
    second = bench.run()
    if second.returncode != 0:
        found.append(f"the second run ended with {ended(second)}\n{second.stderr[-1500:]}")
    if bench.rows() != expected:
        same = len(set(bench.rows()) & set(expected))
        found.append(f"then {same} of {len(expected)} rows, {len(bench.rows()) - same} others")
    elif bench.files() != files:
        found.append(f"files: {sorted(set(bench.files()) ^ set(files))}")
    if not bench.cache_is_whole():
        found.append("the cache is damaged")
    if found:
        found.append(first.stderr[-1500:])
    return found, ended(first), fired


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("library")
    parser.add_argument("--faults", type=int)
    parser.add_argument("--workers", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=[])
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    options = parser.parse_args()
    if options.jobs > 1:
        os.environ["NMLBENCH_THREADS"] = "1"
    begin = time.time()
    with tempfile.TemporaryDirectory() as top:
        arguments = ["--workers", "2"] if options.workers else []
        benches = [Bench(options.program, options.library, os.path.join(top, f"work{job}"), arguments=arguments)
                   for job in range(options.jobs)]
        planned = []
        for bench in benches:
            bench.run()
        for process in ("team", "1/2") if options.workers else (None,):
            benches[0].clear()
            calm = benches[0].run("count", process)
            if calm.returncode != 0:
                sys.exit(f"the undisturbed run failed: {calm.stderr}")
            calls = benches[0].calls()[0]
            expected, files = benches[0].rows(), benches[0].files()
            print(f"{len(expected)} rows, {len(files)} files; calls{f' of {process}' if process else ''}: {calls}", flush=True)
            planned += [(fault, process) for of_kind in faults_of(calls, options.kinds) for fault in of_kind]
        if options.only:
            planned = [item for item in planned if item[0] in options.only]
        planned = [planned[i] for i in spread(len(planned), options.faults or len(planned))]
        free = list(benches)

        def attempt(item):
            bench = free.pop()
            try:
                return item, *problems(*item, bench, expected, files)
            finally:
                free.append(bench)

        bad, missed, ends = 0, 0, collections.Counter()
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for (fault, process), found, end, fired in pool.map(attempt, planned):
                kind, _, how = fault.split(":")
                missed += not fired
                ends[(kind, how if how in ("kill", "part") else "fails", end)] += 1
                if found:
                    bad += 1
                    print(f"--- {fault} {process or ''} ({', '.join(fired) or 'not reached'})\n" + "\n".join(found), flush=True)
    for (kind, how, end), count in sorted(ends.items()):
        print(f"{kind:8} {how:6} {end:12} {count}")
    print(f"{len(planned)} faults ({missed} not reached) in {time.time() - begin:.0f} s, {bad} that did not pass")
    return 1 if bad or missed == len(planned) else 0


if __name__ == "__main__":
    sys.exit(main())
