#!/usr/bin/env python3
"""Decode + resize, images per second of one core: nmlbench's loader beside Pillow on the same files.

    benchmarks/peers/decode.py FOLDER [--size 224] [--bench build/nmlbench-decode-bench]

Both sides have the files in memory, use one thread, and are timed in CPU seconds (best of three rounds). Pillow:
Image.open(..).convert("RGB").resize((S, S), BILINEAR), what torchvision's loader and Resize do; "draft" asks libjpeg for
a smaller image first, as nmlbench's decode = "scaled" does.
"""
import argparse
import io
import pathlib
import subprocess
import time

import numpy
import PIL
from PIL import Image


def rate(files, work):
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        for data in files:
            work(data)
        best = min(best, time.process_time() - begin)
    return len(files) / best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--limit", type=int, default=2000, help="files used")
    parser.add_argument("--bench", default="build/nmlbench-decode-bench")
    options = parser.parse_args()
    endings = {".jpg", ".jpeg", ".png", ".webp"}
    paths = sorted(p for p in options.folder.rglob("*") if p.suffix.lower() in endings)[: options.limit]
    if not paths:
        parser.error(f"{options.folder}: no images")
    files = [p.read_bytes() for p in paths]
    side = (options.size, options.size)

    def serve(data, draft=False):
        image = Image.open(io.BytesIO(data))
        if draft:
            image.draft("RGB", (2 * options.size, 2 * options.size))
        # planes, as PyTorch wants them
        return numpy.ascontiguousarray(numpy.asarray(image.convert("RGB").resize(side, Image.BILINEAR)).transpose(2, 0, 1))

    pillow = {
        "decode": rate(files, lambda data: Image.open(io.BytesIO(data)).convert("RGB")),
        "decode+resize": rate(files, serve),
        "scaled-decode+resize": rate(files, lambda data: serve(data, draft=True)),
    }
    output = subprocess.run([options.bench, str(options.size), *map(str, paths)], check=True, capture_output=True, text=True)
    own = {name: float(value) for name, value in (line.split() for line in output.stdout.splitlines())}
    print(f"{len(files)} images of {options.folder.name}, to {options.size} px; Pillow {PIL.__version__}; images/s per core")
    print(f"{'':22}{'nmlbench':>10}{'Pillow':>10}{'ratio':>8}")
    for name, value in own.items():
        print(f"{name:22}{value:10.1f}{pillow[name]:10.1f}{value / pillow[name]:8.2f}")


if __name__ == "__main__":
    main()
