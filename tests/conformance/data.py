"""Writes small data in the formats of the bundled readers, for the conformance kit to read them through.

usage: data.py FOLDER. Twelve samples of three classes in each format.
"""
import io
import pathlib
import random
import struct
import sys
import tarfile
import zlib

COUNT, CLASSES, SIDE = 12, 3, 8


def pixels(sample, count):
    return bytes(random.Random(sample).randrange(256) for _ in range(count))


def png(sample):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    flat = pixels(sample, SIDE * SIDE * 3)
    rows = b"".join(b"\0" + flat[y * SIDE * 3:(y + 1) * SIDE * 3] for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def npy(descr, shape, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_shard(path):
    with tarfile.open(path, "w") as shard:
        for i in range(COUNT):
            for ending, data in ("png", png(i)), ("cls", str(i % CLASSES).encode()):
                member = tarfile.TarInfo(f"{i:04}.{ending}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))


def main(root):
    labels = bytes(i % CLASSES for i in range(COUNT))
    label_array = npy("<i8", (COUNT,), struct.pack(f"<{COUNT}q", *labels))
    feature_array = npy("<f4", (COUNT, 5), struct.pack(f"<{COUNT * 5}f", *pixels(0, COUNT * 5)))
    write(root / "idx/train-images-idx3-ubyte",
          struct.pack(">IIII", 0x803, COUNT, SIDE, SIDE) + pixels(0, COUNT * SIDE * SIDE))
    write(root / "idx/train-labels-idx1-ubyte", struct.pack(">II", 0x801, COUNT) + labels)
    write(root / "cifar/data_batch_1.bin", b"".join(bytes([labels[i]]) + pixels(i, 3072) for i in range(COUNT)))
    for name in "features/x.npy", "features/rte/train_x.npy":
        write(root / name, feature_array)
    for name in "features/y.npy", "features/rte/train_y.npy", "npy/y.npy":
        write(root / name, label_array)
    write(root / "npy/x.npy", npy("|u1", (COUNT, SIDE, SIDE, 3), pixels(0, COUNT * SIDE * SIDE * 3)))
    for i in range(COUNT):
        write(root / f"folder/class-{labels[i]}/{i:02}.png", png(i))
    write(root / "folder/list.txt", "".join(f"class-{labels[i]}/{i:02}.png {labels[i]}\n" for i in range(COUNT)).encode())
    write(root / "texts/table.csv", "text,label\n".encode() + "".join(f'"Text {i}, ""so"".",{labels[i]}\n' for i in range(COUNT)).encode())
    write(root / "texts/RTE/train.tsv", b"index\tsentence1\tsentence2\tlabel\n" +
          "".join(f"{i}\tIt is {i}.\tIs it?\t{'not_' * (i % 2)}entailment\n" for i in range(COUNT)).encode())
    write(root / "texts/sick/SICK.txt", b"pair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\n" +
          "".join(f"{i}\tIt is {i}.\tIs it?\tNEUTRAL\t{1 + i % 5}\n" for i in range(COUNT)).encode())
    (root / "shards").mkdir(exist_ok=True)
    write_shard(root / "shards/0.tar")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
