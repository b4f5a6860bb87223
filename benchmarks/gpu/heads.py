#!/usr/bin/env python3
"""Stacks of heads on a GPU against PyTorch on the same card: one head after the other, and all under torch.func's vmap.

usage: heads.py [--device cuda:0]; gpu-kit/run calls it.

A step of a stack of H heads is H head-steps. Minibatches are on the card already, on every side. PyTorch's side is the
whole step as one CUDA graph where PyTorch can capture it (not NMTune, whose singular values wait for the card), with its
fused AdamW. Under vmap, batch normalisation keeps no running statistics, which is less than ours does. Our rate is
held against a batched product of the MLP's shape, measured beside it. Larger stacks are left out under vmap, and said to
be, once a measurement took PATIENCE seconds.
"""
import argparse
import json
import os
import subprocess
import time

import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn import functional as F

import nml
from pretraining import captured

ROWS, DIM, CLASSES = 64, 512, 10
TUNERS = {"linear_probe": "linear-probe", "mlp": "mlp", "nmtune": "nmtune official"}
HEADS = (1, 4, 16, 64, 256, 1024)
PATIENCE = 5
AT_ONCE = 8  # steps between two waits for the card, as in benchmarks/tuner_bench.cpp


def fused_adamw(parameters, lr, device):
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=1e-4, fused=True, capturable=device.startswith("cuda"))


def rate_of(name, step, device):
    """Steps a second: of a graph of the step where there can be one."""
    if device.startswith("cuda") and not name.startswith("nmtune"):
        step = captured(step)
    return nml.rate_of(step, device, 0.3, AT_ONCE)


def sequential(name, device):
    trainer = nml.HeadTrainer(name, DIM, CLASSES, 10**6)
    trainer.model.to(device)
    trainer.optimizer = fused_adamw(trainer.model.parameters(), trainer.lr, device)
    f, labels = torch.randn(ROWS, DIM, device=device), torch.randint(CLASSES, (ROWS,), device=device)
    return lambda: trainer.step(f, labels)


def under_vmap(name, heads, device):
    lr, weights, top_k = nml.TUNERS[name]

    def make():
        if name == "linear-probe":
            return nml.make_linear(DIM, CLASSES)
        model = nml.Mlp(DIM, CLASSES)
        model.body[1] = torch.nn.BatchNorm1d(4 * DIM, track_running_stats=False)
        return model

    model = make().to(device)
    one, _ = stack_module_state([model])
    parameters = {key: value.detach().repeat(heads, *[1] * (value.dim() - 1)).requires_grad_() for key, value in one.items()}
    optimizer = fused_adamw(parameters.values(), lr, device)

    class Loss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, f, labels):
            if name == "linear-probe":
                return F.cross_entropy(self.model(f), labels)
            z = self.model.features(f)
            loss = F.cross_entropy(self.model.head(z), labels)
            return loss if weights is None else loss + nml.regularisers(z, f, weights, top_k)

    module = Loss()

    def loss_of(values, f, labels):
        return functional_call(module, {f"model.{key}": value for key, value in values.items()}, (f, labels))

    gradients = vmap(grad_and_value(loss_of), randomness="different")
    f = torch.randn(heads, ROWS, DIM, device=device)
    labels = torch.randint(CLASSES, (heads, ROWS), device=device)

    def step():
        found, _ = gradients({key: value.detach() for key, value in parameters.items()}, f, labels)
        for key, value in parameters.items():
            value.grad = found[key]
        optimizer.step()
    return step


class Vmap:
    """Head-steps a second of stacks of growing size, as text with our rate's ratio."""

    def __init__(self, name, device):
        self.name, self.device, self.given_up = name, device, None

    def cells(self, heads, ours):
        begin = time.perf_counter()
        try:
            rate = None if self.given_up else heads * rate_of(self.name, under_vmap(self.name, heads, self.device), self.device)
        except torch.cuda.OutOfMemoryError:
            self.given_up = "out of memory"
        finally:
            if self.device.startswith("cuda"):
                torch.cuda.empty_cache()
        if self.given_up:
            return f"{self.given_up} | "
        if time.perf_counter() - begin > PATIENCE:
            self.given_up = "left out: slow"
        return f"{rate:,.0f} | {ours / rate:.1f}x"


def ours(device, which):
    """{benchmark name: its counters} of the benchmarks that match `which`."""
    kit = os.environ["NMLBENCH_KIT"]
    result = subprocess.run([os.path.join(kit, "nmlbench_bench"), f"--benchmark_filter={which}",
                             "--benchmark_format=json", "--benchmark_min_time=0.2"], check=True, stdout=subprocess.PIPE, text=True,
                            env=dict(os.environ, NMLBENCH_DEVICE=device, LD_LIBRARY_PATH=os.environ["NMLBENCH_LIBRARIES"]))
    return {run["name"]: run for run in json.loads(result.stdout)["benchmarks"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    device = parser.parse_args().device
    torch.backends.cudnn.allow_tf32 = False
    limit = max(run["GFLOP/s"] for run in ours(device, "^stacked_gemm/64/").values())
    print(f"M = {ROWS}, D = {DIM}, {CLASSES} classes, float32 without TF32, head-steps/s. The batched product of the MLP's shape "
          f"runs at {limit:,.0f} GFLOP/s.\n")
    print("| Tuner | Heads | Ours | PyTorch, one by one | Ratio | PyTorch, vmap | Ratio | Our GFLOP/s (of the product's) |\n"
          "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for key, name in TUNERS.items():
        single, vmapped = rate_of(name, sequential(name, device), device), Vmap(name, device)
        found = ours(device, f"^train_step/{key}/.*/heads:1/")
        for heads in HEADS:
            run = next((run for bench, run in found.items() if f"/units:{heads}/" in bench), None)
            if run is None or "error_occurred" in run:
                continue
            rate = run["head-steps/s"]
            share = f"{run['GFLOP/s']:,.0f} ({100 * run['GFLOP/s'] / limit:.0f} %)"
            print(f"| {name} | {heads} | {rate:,.0f} | {single:,.0f} | {rate / single:.1f}x | {vmapped.cells(heads, rate)} | {share} |",
                  flush=True)


if __name__ == "__main__":
    main()
