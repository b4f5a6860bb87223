"""The state dicts of tests/unit/models/weights_test.cpp, as torch.save() writes them. usage: make.py (needs torch)"""
import collections
import os
import pathlib

import torch

here = pathlib.Path(__file__).parent
net = torch.nn.Sequential(collections.OrderedDict(fc=torch.nn.Linear(3, 2), bn=torch.nn.BatchNorm1d(2)))
state = net.state_dict()
for i, tensor in enumerate(state.values()):
    tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) + 10 * i)
state["fc.weight"] = torch.arange(6.0).reshape(3, 2).t()  # a view, columns first

torch.save(state, here / "zip.pt")
torch.save(state, here / "legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"epoch": 3, "model": {"module." + k: v.to(torch.bfloat16) if v.is_floating_point() else v for k, v in state.items()},
            "optimizer": {"lr": 0.1, "groups": [{"params": [0, 1], "nesterov": True, "name": None}]}}, here / "training.pt")
torch.save(collections.OrderedDict(w=torch.nn.Parameter(torch.ones(2))), here / "parameter.pt")


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


torch.save({"fc.weight": state["fc.weight"], "x": Evil()}, here / "evil.pt")
