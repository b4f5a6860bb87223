#!/usr/bin/env python3
"""Pre-training and encoding of resnet-tiny in PyTorch on a GPU: images a second and peak memory.

usage: pretraining.py [--device cuda:0]; gpu-kit/run calls it.

The steps of matrices/quick.toml, with images on the card: eager, and the whole step as one CUDA graph. TF32 is off.
"""
import argparse

import torch

import nml

BATCH, CLASSES = 128, 80


def captured(step):
    """`step` as one CUDA graph."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    device = parser.parse_args().device
    torch.backends.cudnn.allow_tf32 = False
    images = torch.randint(256, (BATCH, 3, 32, 32), dtype=torch.uint8, device=device)
    labels = torch.randint(CLASSES, (BATCH,), device=device)
    print("| PyTorch | Images/s | Peak MiB |\n| --- | ---: | ---: |")
    for bf16 in (False, True):
        for graph in (False, True) if device.startswith("cuda") else (False,):
            trainer = nml.Pretrainer(CLASSES, 10**6, 0, bf16, device=device)
            step = (lambda t=trainer: t.step(images, labels))
            if graph:
                step = captured(step)
            if device.startswith("cuda"):
                torch.cuda.reset_peak_memory_stats()
            rate = BATCH * nml.rate_of(step, device, 1.5, at_once=5)
            peak = torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else 0
            print(f"| pre-training, {'bf16' if bf16 else 'fp32'}, {'one graph' if graph else 'eager'} | {rate:,.0f} | {peak:,.0f} |",
                  flush=True)
    model, batch = nml.ResNetTiny(CLASSES).to(device).eval(), torch.randint(256, (256, 3, 32, 32), dtype=torch.uint8, device=device)
    with torch.no_grad():
        rate = 256 * nml.rate_of(lambda: model.features(nml.normalise(batch)), device, 1.5, at_once=5)
    print(f"| encoding, fp32, batches of 256 | {rate:,.0f} | |")


if __name__ == "__main__":
    main()
