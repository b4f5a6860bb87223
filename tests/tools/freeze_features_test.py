"""Tests tools/freeze_features.py without any encoder library. usage: freeze_features_test.py SOURCE_DIR NMLBENCH"""
import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

sys.path.insert(0, sys.argv[1] + "/tools")
sys.dont_write_bytecode = True
import freeze_features as tool

ENCODER = """
import torch
def tiny(weights):
    return torch.nn.Flatten(), lambda text: torch.tensor([float(len(text)), float(ord(text[0]))])
"""


def fake_encoder(weights, options, ratio, seed):
    """Features [N, 4] that differ for each level and seed."""
    return lambda items: np.random.default_rng([int(100 * ratio), seed]).normal(size=(len(items), 4))


def write_csv(path, rows):
    path.write_text("sentence,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")


def error_of(call):
    try:
        call()
    except tool.UserError as error:
        return str(error)
    raise AssertionError("no error")


def run(folder, *changes):
    arguments = ["--model", "transformers/fake", "--weights", f"{folder}/n{{noise_ratio}}_s{{seed}}.pth", "--noise",
                 "symmetric", "--noise-ratio", "0", "0.05", "--realised-rate", "0", "0.04", "--seed", "0", "1", "--task",
                 "words", "--train", f"{folder}/train.csv", "--test", f"id={folder}/test.csv", "-o", f"{folder}/feat"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        matrix = tool.freeze(tool.read_options([*arguments, *changes]), fake_encoder)
    return matrix, said.getvalue()


def test_layout(folder, nmlbench):
    matrix, _ = run(folder)
    feat = folder / "feat"
    assert np.load(feat / "fake_n0.05_s1_words_train.npy").dtype == np.float32
    assert np.load(feat / "fake_words_id_y.npy").tolist() == [1, 1]  # by name: "good" is class 1 though it is alone
    assert json.loads((feat / "fake_n0_s0_words_train.json").read_text())["classes"] == ["bad", "good"]
    before = matrix.read_text()
    finished = subprocess.run([nmlbench, "run", matrix, "--db", folder / "r.sqlite"], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    _, said = run(folder)
    assert said.count("skipped") == 8, said
    run(folder, "--task", "more")
    assert matrix.read_text() != before and matrix.read_text().count("[[task]]") == 2
    planned = subprocess.run([nmlbench, "plan", matrix], capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr


def test_mistakes(folder):
    assert "{noise_ratio}" in error_of(lambda: run(folder, "--weights", f"{folder}/n0_s{{seed}}.pth"))
    assert "no such weights" in error_of(lambda: run(folder, "--noise-ratio", "0", "0.3", "--task", "other"))
    write_csv(folder / "strange.csv", [("a", "ugly")])
    assert "ugly" in error_of(lambda: run(folder, "--test", f"ood:strange={folder}/strange.csv"))
    (folder / "n0_s0.pth").write_text("changed")
    assert "weights_sha256" in error_of(lambda: run(folder))
    write_csv(folder / "train.csv", [("b", "bad"), ("a", "good")])
    assert "data_sha256" in error_of(lambda: run(folder))


def test_function(folder):
    try:
        import torch
    except ImportError:
        print("the source file.py:function is not tried: PyTorch is not installed")
        return
    (folder / "tiny.py").write_text(ENCODER)
    status = tool.main(["--model", f"{folder}/tiny.py:tiny", "--encoder", "tiny", "--task", "words", "--train",
                        f"{folder}/train.csv", "--test", f"id={folder}/test.csv", "-o", f"{folder}/function"])
    assert status == 0
    x = np.load(folder / "function" / "tiny_words_id.npy")
    assert x.tolist() == [[len(text), ord(text[0])] for text in ("yes", "great")], x


with tempfile.TemporaryDirectory() as name:
    scratch = pathlib.Path(name)
    write_csv(scratch / "train.csv", [(f"w{i}", "good" if i % 2 else "bad") for i in range(40)])
    write_csv(scratch / "test.csv", [("yes", "good"), ("great", "good")])
    for level in ("0", "0.05"):
        for seed in (0, 1):
            (scratch / f"n{level}_s{seed}.pth").write_text(f"{level} {seed}")
    test_layout(scratch, sys.argv[2])
    test_function(scratch)
    test_mistakes(scratch)
