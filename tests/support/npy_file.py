"""Arrays as .npy files, without NumPy."""


def write_npy(file, kind, shape, values):
    """`values`: an array.array in row-major order; kind: "<f4", "<i8"."""
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    with open(file, "wb") as out:
        out.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values.tobytes())
