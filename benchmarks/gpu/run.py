#!/usr/bin/env python3
"""Tests and measures nmlbench on this machine's GPU; writes GPU.md and gpu.log into OUT as it goes.

usage: run [--device cuda:0] [--out OUT] [--only STEP[,STEP]]

Needs the PyTorch that the kit was built against, in this python3. Every step has a time limit of its own; one that fails
or runs out of time is written down as that, and the next one starts. --device cpu rehearses the steps without a GPU.
"""
import argparse
import glob
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KIT = os.path.join(tempfile.gettempdir(), "nmlbench-gpu-kit")


def text_of(name):
    with open(os.path.join(KIT, name)) as file:
        return file.read().strip()


class Report:
    """GPU.md and gpu.log, both flushed after each line."""

    def __init__(self, out):
        os.makedirs(out, exist_ok=True)
        self.out = out
        self.markdown = open(os.path.join(out, "GPU.md"), "w", buffering=1)
        self.log = open(os.path.join(out, "gpu.log"), "w", buffering=1)

    def write(self, line=""):
        print(line, flush=True)
        print(line, file=self.markdown)

    def note(self, line):
        print(line, flush=True)
        print(line, file=self.log)


class Machine:
    def __init__(self, device, report):
        import torch
        self.device, self.report, self.torch = device, report, torch
        libraries = [os.path.join(KIT, "lib"), os.path.join(KIT, "libraries"), os.path.join(torch.__path__[0], "lib"),
                     *glob.glob(os.path.join(os.path.dirname(torch.__path__[0]), "nvidia", "*", "lib"))]
        self.environment = dict(os.environ, LD_LIBRARY_PATH=":".join(libraries), OMP_WAIT_POLICY="passive",
                                NMLBENCH_DEVICE=device, NMLBENCH_TEST_DEVICE=device)
        self.point_to_kit(text_of("built-in"))

    def point_to_kit(self, place):
        """The tests and benchmarks look for plugins where they were built."""
        if not os.path.exists(place):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.symlink(KIT, place)

    def card(self):
        return self.torch.cuda.get_device_name(0) if self.device.startswith("cuda") else f"CPU ({platform.machine()})"

    def run(self, limit, *command, environment=None):
        """Standard output of a command that has `limit` seconds; everything goes into the log. Raises when it fails."""
        begin = time.monotonic()
        self.report.note(f"$ {' '.join(command)}")
        with subprocess.Popen(command, env=dict(self.environment, **(environment or {})), stdout=subprocess.PIPE,
                              stderr=self.report.log, text=True, cwd=self.report.out, start_new_session=True) as child:
            try:
                out, _ = child.communicate(timeout=limit)
            except subprocess.TimeoutExpired as late:
                os.killpg(child.pid, 9)
                out, _ = child.communicate()
                print(out, file=self.report.log)
                raise RuntimeError(f"`{' '.join(command)}` was not done in {limit} s; it had printed\n\n{out}") from late
        print(out, file=self.report.log)
        self.report.note(f"  status {child.returncode}, {time.monotonic() - begin:.1f} s")
        if child.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: status {child.returncode}\n{out[-2000:]}")
        return out

    def nmlbench(self, limit, *arguments, environment=None):
        return self.run(limit, os.path.join(KIT, "nmlbench"), *arguments, environment=environment)

    def peer(self, limit, script, *arguments):
        """PyTorch's side, in this python3 with PyTorch's own libraries."""
        return self.run(limit, sys.executable, os.path.join(KIT, "peers", script), "--device", self.device, *arguments,
                        environment={"LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""), "NMLBENCH_KIT": KIT,
                                     "NMLBENCH_LIBRARIES": self.environment["LD_LIBRARY_PATH"]})


def tests(machine, report):
    out = machine.run(150, os.path.join(KIT, "tests", "test_gpu"), "--gtest_color=no")
    report.write("```\n" + "\n".join(line for line in out.splitlines() if line.startswith(("[       OK", "[  PASSED")))
                 + "\n```")


def run_quick(machine, name, device, limit, *arguments, graphs="1"):
    """Seconds of a whole quick matrix with a fresh cache."""
    begin = time.monotonic()
    machine.nmlbench(limit, "run", "quick", "--device", device, "--db", f"{name}.sqlite", "--cache-dir", f"/tmp/{name}",
                     "--quiet", *arguments, environment={"NMLBENCH_CUDA_GRAPHS": graphs})
    return time.monotonic() - begin


def accuracies(db):
    """{(tuner, noise, kind): accuracy in percent of each seed}."""
    values = {}
    for tuner, noise, kind, value in sqlite3.connect(db).execute(
            "SELECT tuner, noise_ratio, test_kind, 100 * avg(value) FROM v_results WHERE metric = 'accuracy' "
            "GROUP BY tuner, noise_ratio, test_kind, seed ORDER BY 1, 2, 3"):
        values.setdefault((tuner, noise, kind), []).append(value)
    return values


def quick(machine, report):
    seconds = {"cpu": run_quick(machine, "cpu", "cpu", 240)}
    seconds[machine.device] = run_quick(machine, "device", machine.device, 150)
    report.write(f"The whole quick matrix, fresh cache: {seconds['cpu']:.0f} s on the CPU ({os.cpu_count()} threads), "
                 f"{seconds[machine.device]:.0f} s on {machine.device}.\n")
    here, there = (accuracies(os.path.join(report.out, f"{name}.sqlite")) for name in ("cpu", "device"))
    report.write("| Tuner | Noise | Test sets | CPU | GPU | Difference | Standard deviation over seeds |\n"
                 "| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for key, cpu in here.items():
        gpu = there[key]
        spread = statistics.mean([statistics.stdev(cpu), statistics.stdev(gpu)])
        report.write(f"| {key[0]} | {key[1]:.0%} | {key[2].upper()} | {statistics.mean(cpu):.1f} | "
                     f"{statistics.mean(gpu):.1f} | {statistics.mean(gpu) - statistics.mean(cpu):+.1f} | {spread:.1f} |")
    report.write("\n`nmlbench compare` of the two databases:\n```\n"
                 + machine.nmlbench(30, "compare", "cpu.sqlite", "device.sqlite", "--changes", "0").rstrip() + "\n```")


def heads(machine, report):
    report.write(machine.peer(200, "heads.py").rstrip())


def pretraining(machine, report):
    eager = run_quick(machine, "eager", machine.device, 150, graphs="0")
    run_quick(machine, "fp32", machine.device, 100, "--set", "pretrain.optim.precision=fp32")
    report.write(f"The whole quick matrix with `NMLBENCH_CUDA_GRAPHS=0`: {eager:.0f} s. Stages of both runs:\n")
    for name, title in (("eager", "kernel by kernel"), ("device", "captured, the default"),
                        ("fp32", "captured, pre-training in fp32 instead of bf16")):
        if os.path.exists(os.path.join(report.out, f"{name}.sqlite")):
            table = machine.nmlbench(30, "throughput", "--by", "stage", "--db", f"{name}.sqlite", "--format", "markdown")
            report.write(f"{title}:\n\n{table}")
    report.write(machine.peer(120, "pretraining.py").rstrip())


STEPS = {"tests": ("GPU tests", tests), "quick": ("Quick matrix, CPU against GPU", quick),
         "heads": ("Stacks of heads against PyTorch", heads),
         "pretraining": ("Pre-training, encoding and memory", pretraining)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", default=os.path.join(HERE, "out"))
    parser.add_argument("--only", default=",".join(STEPS))
    args = parser.parse_args()
    shutil.rmtree(KIT, ignore_errors=True)
    with tarfile.open(os.path.join(HERE, "kit.tar.xz")) as archive:
        archive.extractall(KIT)
    report = Report(os.path.abspath(args.out))
    machine = Machine(args.device, report)
    report.write(f"# On a GPU\n`./dev gpu-kit` packed revision {text_of('revision')}; `gpu-kit/run --device {args.device}` on "
                 f"{machine.card()}, {os.cpu_count()} cores, PyTorch {machine.torch.__version__}, "
                 f"{time.strftime('%Y-%m-%d')}.")
    report.note(machine.nmlbench(60, "doctor"))
    failed = []
    for name in args.only.split(","):
        title, step = STEPS[name]
        report.write(f"\n## {title}")
        begin = time.monotonic()
        try:
            step(machine, report)
        except Exception as error:  # the next step is worth its time whatever happened to this one
            failed.append(name)
            report.write(f"\n**Failed**: {error}")
        report.note(f"{name}: {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
