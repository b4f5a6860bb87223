#!/usr/bin/env python3
"""Prints recipe_expected.json: what timm and PyTorch make of the parts of a pre-training recipe.

Needs timm (made with 1.0.31) and PyTorch. Inputs are sines, which recipe_test.cpp computes too.
"""
import json
import random
from unittest import mock

import numpy as np
import torch
from timm.data.mixup import Mixup, mixup_target, rand_bbox
from timm.data.random_erasing import RandomErasing
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim.lamb import Lamb

CLASSES, LABELS = 5, [3, 0, 4, 1]


def wave(*shape, phase=0.0):
    n = int(np.prod(shape))
    return torch.tensor(np.sin(0.7 * np.arange(n) + phase), dtype=torch.float32).view(*shape)


def numbers(tensor):
    return [float(f"{x:.9g}") for x in tensor.flatten().tolist()]


def losses():
    scores, labels = 3 * wave(4, CLASSES), torch.tensor(LABELS)
    mixed = mixup_target(labels, CLASSES, lam=0.3, smoothing=0.0)
    smooth = mixup_target(labels, CLASSES, lam=0.3, smoothing=0.1)
    return {
        "smoothing": LabelSmoothingCrossEntropy(0.1)(scores, labels).item(),
        "mixed": SoftTargetCrossEntropy()(scores, mixed).item(),
        "mixed smoothing": SoftTargetCrossEntropy()(scores, smooth).item(),
        "bce": BinaryCrossEntropy(0.0)(scores, labels).item(),
        "bce smoothing": BinaryCrossEntropy(0.1)(scores, labels).item(),
        "bce mixed": BinaryCrossEntropy(0.0)(scores, mixed).item(),
        "bce mixed threshold": BinaryCrossEntropy(0.0, target_threshold=0.2)(scores, mixed).item(),
    }


def boxes():
    result = []
    for lam in (0.02, 0.3, 0.5, 0.81, 0.999):
        for centre in ((0, 0), (3, 17), (11, 5), (23, 31)):
            with mock.patch("numpy.random.randint", side_effect=list(centre)):
                yl, yh, xl, xh = rand_bbox((2, 3, 24, 32), lam)
            result.append({"lam": lam, "centre": centre, "box": [int(yl), int(xl), int(yh - yl), int(xh - xl)]})
    return result


def mixtures():
    result = {}
    for name, cuts in (("mixup", False), ("cutmix", True)):
        mix = Mixup(mixup_alpha=1.0, cutmix_alpha=1.0, num_classes=CLASSES, label_smoothing=0.1)
        mix._params_per_batch = lambda: (0.4, cuts)
        with mock.patch("numpy.random.randint", side_effect=[2, 4]):
            x, target = mix(wave(4, 2, 5, 6), torch.tensor(LABELS))
        result[name] = {"x": numbers(x), "target": numbers(target)}
    return result


def lamb(decay, norm):
    values = [torch.nn.Parameter(wave(3, 4)), torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(wave(2, 2, 2, 1))]
    optimizer = Lamb(values, lr=0.02, weight_decay=decay, max_grad_norm=norm)
    for step in range(5):
        for i, value in enumerate(values):
            value.grad = wave(*value.shape, phase=float(step + i))
        optimizer.step()
    return [numbers(value.detach()) for value in values]


def erasing():
    """Of 20,000 images of 32 x 24 px: the share that is erased, and mean and deviation of the erased height and width."""
    random.seed(1)
    heights, widths = [], []
    eraser = RandomErasing(probability=0.4, mode="pixel", device="cpu")
    for _ in range(20000):
        marked = ~torch.isnan(eraser(torch.full((1, 32, 24), float("nan")))[0])
        if marked.any():
            heights.append(marked.any(1).sum().item())
            widths.append(marked.any(0).sum().item())
    return {"share": len(heights) / 20000, "height": [np.mean(heights), np.std(heights)],
            "width": [np.mean(widths), np.std(widths)], "area": float(np.mean(np.multiply(heights, widths)))}


print(json.dumps({"losses": losses(), "boxes": boxes(), "mixtures": mixtures(),
                  "lamb": {"decay": lamb(0.05, None), "no decay": lamb(0.0, None), "clip": lamb(0.05, 1.0)},
                  "erasing": erasing()}, separators=(",", ":")))
