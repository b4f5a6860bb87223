#!/usr/bin/env python3
"""Writes tiny.pt (a convolution and its mean, features [B, 5]) and outputs.pt (a dict of it and its double), TorchScript
with what they want of images; made with PyTorch 2.11, read by any LibTorch."""
import json
import pathlib

import torch

ABOUT = {"size": 16, "channels": 3, "resize": "crop", "crop_pct": 0.8, "interpolation": "bicubic", "mean": [0.25],
         "std": [0.5]}


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, 3)
        with torch.no_grad():
            for weight in self.conv.parameters():
                weight.copy_(torch.arange(weight.numel()).reshape(weight.shape) / weight.numel())

    def forward(self, x):
        return self.conv(x).mean((2, 3))


class Outputs(Tiny):
    def forward(self, x):
        features = self.conv(x).mean((2, 3))
        return {"features": features, "double": 2 * features}


folder = pathlib.Path(__file__).parent
for name, module, about in (("tiny", Tiny(), ABOUT), ("outputs", Outputs(), ABOUT), ("silent", Tiny(), None)):
    script = torch.jit.script(module.eval())
    torch.jit.save(script, folder / f"{name}.pt", _extra_files={"nmlbench.json": json.dumps(about)} if about else {})
