#!/usr/bin/env python3
"""Prints rand_augment_expected.json: what torchvision's RandAugment and Pillow's resizing make of one image.

Needs torchvision and Pillow (made with 0.26.0 and 13.0.0). Images are told by the FNV-1a hash of their bytes, C x H x W.
"""
import json

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandAugment
from torchvision.transforms.autoaugment import _apply_op

NAMES = ["identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "colour", "contrast",
         "sharpness", "posterize", "solarize", "auto_contrast", "equalize"]


def image(width=32, height=24, grey=False):
    y, x = np.mgrid[:height, :width]
    planes = [(7 * x + 5 * y + 40 * c + (x * y * (c + 1)) % 61) % 200 + 20 for c in range(3)]
    pixels = np.stack(planes, 2).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0]) if grey else Image.fromarray(pixels)


def fnv(img):
    value = 2166136261
    pixels = np.asarray(img)
    for byte in (pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)).tobytes():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def main():
    result = {"operations": {}, "grey": {}, "parts": []}
    for grey, key in ((False, "operations"), (True, "grey")):
        img = image(grey=grey)
        for magnitude in (0, 5, 17, 30):
            space = RandAugment()._augmentation_space(31, (img.height, img.width))
            for name, (operation, (values, signed)) in zip(NAMES, space.items()):
                value = float(values[magnitude]) if values.ndim > 0 else 0.0
                for sign in ((1, -1) if signed else (1,)):
                    out = _apply_op(img, operation, sign * value, interpolation=InterpolationMode.BICUBIC, fill=None)
                    result[key][f"{name} {sign * magnitude}"] = fnv(out)
                    if magnitude == 0: break
    for box, size in (((0, 0, 32, 24), (20, 20)), ((3, 5, 17, 11), (20, 20)), ((3, 5, 20, 11), (20, 20)),
                      ((1, 0, 9, 20), (20, 20)), ((2, 2, 20, 20), (20, 20)), ((0, 0, 31, 24), (7, 5))):
        left, top, w, h = box
        out = image().crop((left, top, left + w, top + h)).resize(size, Image.BICUBIC)
        result["parts"].append({"box": box, "size": size, "hash": fnv(out)})
    print(json.dumps(result, indent=0, separators=(",", ":")).replace("\n", " ").replace("}, ", "},\n"))


main()
