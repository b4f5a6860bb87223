"""Tests tools/export_encoder.py: what it reads from each library's description of its preprocessing and, where timm and
PyTorch are there, that nmlbench gives the features of the exported model. usage: export_encoder_test.py SOURCE_DIR NMLBENCH"""
import json
import pathlib
import subprocess
import sys
import tempfile
import types

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

sys.path.insert(0, sys.argv[1] + "/tools")
sys.dont_write_bytecode = True
import export_encoder as tool


def refusal(call):
    try:
        call()
    except tool.UserError as error:
        return str(error)
    raise AssertionError("no error")


def test_crops_come_out_at_the_size_that_was_meant():
    for crop in range(16, 600, 7):
        for resized in range(crop, 2 * crop, 3):
            assert int(crop / tool.crop_fraction(crop, resized)) == resized, (crop, resized)


def test_each_library_is_understood():
    colours = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
    bicubic = types.SimpleNamespace(value="bicubic")
    about = tool.of_torchvision(None, types.SimpleNamespace(crop_size=[224], resize_size=[256], interpolation=bicubic, **colours))
    assert (about["size"], about["resize"], about["crop_pct"], about["interpolation"]) == (224, "crop", 0.875, "bicubic")
    visual = types.SimpleNamespace(preprocess_cfg={"size": (336, 336), "resize_mode": "squash", **colours})
    about = tool.of_open_clip(types.SimpleNamespace(visual=visual), None)
    assert (about["size"], about["resize"], about["interpolation"]) == (336, "squash", "bicubic")
    images = {"image_mean": [0.5], "image_std": [0.5]}
    about = tool.of_transformers(types.SimpleNamespace(size={"shortest_edge": 256}, do_center_crop=True, resample=3,
                                                       crop_size={"height": 224, "width": 224}, **images))
    assert (about["size"], about["crop_pct"], about["resize"]) == (224, 0.875, "crop")
    about = tool.of_transformers(types.SimpleNamespace(size={"height": 224, "width": 224}, resample=2, **images))
    assert (about["size"], about["resize"], about["interpolation"]) == (224, "squash", "bilinear")
    about = tool.of_transformers(types.SimpleNamespace(size={"shortest_edge": 224}, crop_pct=0.875, resample=3, **images))
    assert (about["resize"], about["crop_pct"]) == ("crop", 0.875)


def test_what_nmlbench_does_not_have_is_refused():
    colours = {"mean": [0.5], "std": [0.5]}
    other = types.SimpleNamespace(value="lanczos")
    assert "lanczos" in refusal(lambda: tool.of_torchvision(None, types.SimpleNamespace(
        crop_size=[224], resize_size=[256], interpolation=other, **colours)))
    visual = types.SimpleNamespace(preprocess_cfg={"size": (224, 112), **colours})
    assert "no square" in refusal(lambda: tool.of_open_clip(types.SimpleNamespace(visual=visual), None))
    visual.preprocess_cfg.update(size=224, resize_mode="longest")
    assert "longest" in refusal(lambda: tool.of_open_clip(types.SimpleNamespace(visual=visual), None))


MATRIX = """
[matrix]
name = "exported"
seeds = [0]
[[pretrain]]
encoder = {{ plugin = "{plugin}", path = "{file}" }}
[[task]]
name = "photos"
train = {{ plugin = "image-folder", path = "photos" }}
[[task.test]]
kind = "id"
data = {{ plugin = "image-folder", path = "photos" }}
[[tuner]]
plugin = "linear-probe"
epochs = 1
"""


def test_nmlbench_gives_the_features_of_the_model(folder, nmlbench):
    check_features(folder, nmlbench, "torchscript", "model.pt")


def test_nmlbench_gives_the_features_of_an_onnx_file(folder, nmlbench):
    done = subprocess.run([nmlbench, "plugins", "describe", "onnx"], capture_output=True)
    if done.returncode != 0:
        print("not tried, no plugin onnx: features of an .onnx file")
        return
    check_features(folder, nmlbench, "onnx", "model.onnx")


def check_features(folder, nmlbench, plugin, file):
    """Photographs of several sizes, decoded, resized, cropped and normalised by timm and by nmlbench."""
    try:
        import timm
        import torch
        from PIL import Image
        if plugin == "onnx":
            import onnx
            import onnxruntime
    except ImportError as error:
        print(f"not tried, {error}: features of {file}")
        return
    options = tool.read_options(["timm/resnet18", "--random-init", "-o", str(folder / file)])
    assert tool.export(options)["dim"] == 512
    random, files = np.random.default_rng(0), []
    for label in ("a", "b"):
        (folder / "photos" / label).mkdir(parents=True)
        for i, (width, height) in enumerate([(300, 240), (231, 400)]):
            files.append(folder / "photos" / label / f"{i}.png")
            small = random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
            Image.fromarray(small).resize((width, height), Image.BICUBIC).save(files[-1])
    (folder / "m.toml").write_text(MATRIX.format(plugin=plugin, file=file))
    done = subprocess.run([nmlbench, "features", str(folder / "m.toml"), "-o", str(folder / "out"), "--cache-dir",
                           str(folder / "cache")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    got = np.load(next((folder / "out").glob("**/*x.npy")))
    torch.manual_seed(0)
    model, transform = tool.freeze_features.open_timm("resnet18", None, options)
    with torch.no_grad():
        wanted = model.eval()(torch.stack([transform(Image.open(file)) for file in files])).numpy()
    error = np.abs(got - wanted).max() / np.abs(wanted).max()
    assert error < 1e-5, error


def main():
    test_crops_come_out_at_the_size_that_was_meant()
    test_each_library_is_understood()
    test_what_nmlbench_does_not_have_is_refused()
    for test in (test_nmlbench_gives_the_features_of_the_model, test_nmlbench_gives_the_features_of_an_onnx_file):
        with tempfile.TemporaryDirectory() as folder:
            test(pathlib.Path(folder), sys.argv[2])


main()
