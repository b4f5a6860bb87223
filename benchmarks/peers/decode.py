#!/usr/bin/env python3
"""Decode + resize, images per second of one core: nmlbench's loader beside Pillow on the same files.

    benchmarks/peers/decode.py FOLDER [--size 224] [--bench build/nmlbench-decode-bench]

Both sides have the files in memory, use one thread, and are timed in CPU seconds (best of three rounds). Pillow:
Image.open(..).convert("RGB").resize((S, S), BILINEAR), what torchvision's loader and Resize do; "draft" asks libjpeg for
a smaller image first, as nmlbench's decode = "scaled" does.

With --encode FOLDER has one sub-folder of images for each class: what decoding takes of an encode stage of resnet-tiny on
them, from a cold cache against a warm one, on all cores.
"""
import argparse
import io
import pathlib
import shutil
import subprocess
import tempfile
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


ENCODE = """
[matrix]
name = "encode"
seeds = [0]
[[pretrain]]
encoder = {{ plugin = "resnet-tiny", size = {size} }}
[encode]
precision = "bf16"
[[task]]
name = "photos"
train = {{ plugin = "image-folder", path = "{folder}", size = {size} }}
[[task.test]]
kind = "id"
name = "photos"
data = {{ plugin = "image-folder", path = "{folder}", size = {size} }}
[[tuner]]
plugin = "linear-probe"
epochs = 1
"""


def encode_share(program, folder, size):
    """Seconds of a run that decodes and encodes, and of one that finds every decoded image in the cache."""
    seconds = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "encode.toml").write_text(ENCODE.format(folder=folder.resolve(), size=size))
        for name in "cold", "warm":
            for kept in (scratch / "cache").glob("*"):  # everything but the images
                if kept.name != "images":
                    shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
            begin = time.perf_counter()
            subprocess.run([program, "features", "encode.toml", "-o", name, "--cache-dir", "cache", "--quiet"],
                           cwd=scratch, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - begin)
        images = len(numpy.load(next((scratch / "cold").rglob("*_y.npy"))))
    cold, warm = seconds
    print(f"{images} images encoded by resnet-tiny at {size} px in {cold:.2f} s, all cores; {warm:.2f} s with the images "
          f"decoded before: loading takes {1 - warm / cold:.0%} of the first")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--limit", type=int, default=2000, help="files used")
    parser.add_argument("--bench", default="build/nmlbench-decode-bench")
    parser.add_argument("--encode", action="store_true")
    parser.add_argument("--program", default="build/nmlbench")
    options = parser.parse_args()
    if options.encode:
        return encode_share(pathlib.Path(options.program).resolve(), options.folder, options.size)
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
