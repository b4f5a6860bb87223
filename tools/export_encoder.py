#!/usr/bin/env python3
"""Writes an encoder and the preprocessing of its weights into one file, and prints the entry of a matrix that uses it.

  export_encoder.py timm/resnet50 -o resnet50.pt
  export_encoder.py open_clip/ViT-B-32:laion2b_s34b_b79k -o clip.pt
  export_encoder.py timm/convnext_tiny --weights runs/n0.1.pth -o convnext_n0.1.pt
  export_encoder.py efficientnet_lite.py:lite0 -o lite0.pt

A function of yours is called with the path of --weights or None and gives (module, {"size": .., "crop_pct": .., ..}), the
module from images [B, C, size, size] to features [B, D]; tools/efficientnet_lite.py is an example.

The file is TorchScript: `encoder = { plugin = "torchscript", path = "resnet50.pt" }` runs it without Python. Attention is
written out in operators that LibTorch 1.13 has. With -o NAME.onnx it is an ONNX file for the encoder `onnx`. Needs PyTorch
and the library that the model is named after; for .onnx also onnx and onnxruntime.
"""
import argparse
import json
import os
import sys

os.environ.setdefault("TIMM_FUSED_ATTN", "0")  # older LibTorch has no scaled_dot_product_attention

import freeze_features
from freeze_features import UserError


def crop_fraction(crop, resized):
    """crop_pct of a centre crop of an image whose shorter side was brought to `resized`: int(crop / crop_pct) == resized."""
    exact = crop / resized
    return exact if int(crop / exact) == resized else crop / (resized + 0.5)


def word_for(interpolation):
    word = str(getattr(interpolation, "value", interpolation)).lower()
    word = {"2": "bilinear", "3": "bicubic"}.get(word, word)  # Pillow's numbers
    if word not in ("bilinear", "bicubic"):
        raise UserError(f"its images are resized by {word}, which nmlbench does not have")
    return word


def one_number(size):
    sides = {size} if isinstance(size, int) else set(size.values() if isinstance(size, dict) else size)
    if len(sides) != 1:
        raise UserError(f"its images are {size}, which is no square")
    return int(sides.pop())


def of_timm(model, transform):
    import timm
    config = timm.data.resolve_model_data_config(model)
    modes = {"center": "crop", "squash": "squash"}
    if config["crop_mode"] not in modes:
        raise UserError(f"its crop_mode is {config['crop_mode']}, which nmlbench does not have")
    return {"size": one_number(config["input_size"][1:]), "channels": config["input_size"][0],
            "resize": modes[config["crop_mode"]], "crop_pct": config["crop_pct"],
            "interpolation": word_for(config["interpolation"]), "mean": config["mean"], "std": config["std"]}


def of_torchvision(model, transform):
    size, resized = one_number(transform.crop_size), one_number(transform.resize_size)
    return {"size": size, "channels": 3, "resize": "crop", "crop_pct": crop_fraction(size, resized),
            "interpolation": word_for(transform.interpolation), "mean": transform.mean, "std": transform.std}


def of_open_clip(model, transform):
    config = model.visual.preprocess_cfg
    modes = {"shortest": "crop", "squash": "squash"}
    if config.get("resize_mode", "shortest") not in modes:
        raise UserError(f"its resize_mode is {config['resize_mode']}, which nmlbench does not have")
    return {"size": one_number(config["size"]), "channels": 3, "resize": modes[config.get("resize_mode", "shortest")],
            "crop_pct": 1.0, "interpolation": word_for(config.get("interpolation", "bicubic")), "mean": config["mean"],
            "std": config["std"]}


def of_transformers(processor):
    """An image processor of transformers; sizes are {"shortest_edge": n}, {"height": n, "width": n} or a number."""
    size, crop_pct = processor.size, getattr(processor, "crop_pct", None)
    interpolation = word_for(processor.resample)
    colours = {"mean": processor.image_mean, "std": processor.image_std}
    if getattr(processor, "do_center_crop", False):
        crop = one_number(dict(processor.crop_size))
        return {"size": crop, "channels": 3, "resize": "crop", "interpolation": interpolation,
                "crop_pct": crop_fraction(crop, one_number(dict(size))), **colours}
    if crop_pct and one_number(dict(size)) < 384:  # ConvNeXT's
        return {"size": one_number(dict(size)), "channels": 3, "resize": "crop", "crop_pct": crop_pct,
                "interpolation": interpolation, **colours}
    return {"size": one_number(dict(size)), "channels": 3, "resize": "squash", "crop_pct": 1.0,
            "interpolation": interpolation, **colours}


def plain(about):
    """Numbers and lists as JSON has them."""
    return {key: [float(x) for x in value] if isinstance(value, (list, tuple)) else value for key, value in about.items()}


def open_model(options):
    """(module from images [B, C, size, size] to features [B, D], what it wants of images)."""
    import torch
    library, _, name = options.model.partition("/")
    readers = {"timm": of_timm, "torchvision": of_torchvision, "open_clip": of_open_clip}
    if library in readers:
        opener = {"timm": freeze_features.open_timm, "torchvision": freeze_features.open_torchvision,
                  "open_clip": freeze_features.open_open_clip}[library]
        model, transform = opener(name, options.weights, options)
        return model.eval(), plain(readers[library](model, transform))
    if library != "transformers":
        if ":" not in options.model:
            raise UserError(f"{options.model}: name it timm/, torchvision/, open_clip/ or transformers/NAME, or "
                            "file.py:function")
        model, about = freeze_features.open_function(options.model, options.weights, options)
        return model.eval(), plain({"channels": 3, "resize": "crop", "crop_pct": 1.0, "interpolation": "bicubic", **about})
    import transformers
    pooled, _ = freeze_features.open_transformers(name, options.weights, options)
    if hasattr(pooled.model, "set_attn_implementation"):
        pooled.model.set_attn_implementation("eager")

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = pooled.model

        def forward(self, x):
            hidden = self.model(pixel_values=x, return_dict=False)[0]
            if hidden.dim() == 4:  # of a convolutional network
                return hidden.mean((2, 3))
            return hidden[:, 0] if options.pool == "cls" else hidden.mean(1)
    return Pooled().eval(), plain(of_transformers(transformers.AutoImageProcessor.from_pretrained(name)))


def script_trace(model, x, file):
    """(the trace, a function that writes it to `file` with what it wants of images)."""
    import torch
    traced = torch.jit.trace(model, x, check_trace=False)
    return traced, lambda about: torch.jit.save(traced, file, _extra_files={"nmlbench.json": about})


def onnx_trace(model, x, file):
    """The same as an ONNX file, run by ONNX Runtime."""
    import onnx
    import onnxruntime
    import torch
    torch.onnx.export(model, (x,), file, input_names=["images"], output_names=["features"], dynamo=False,
                      dynamic_axes={"images": {0: "rows"}, "features": {0: "rows"}})
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def write(about):
        graph = onnx.load(file)
        graph.metadata_props.add(key="nmlbench.json", value=about)
        onnx.save(graph, file)

    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0]), write


def export(options):
    """Writes the file; returns what it says of images."""
    import torch
    torch.manual_seed(0)  # of --random-init
    try:
        model, about = open_model(options)
    except (UserError, ImportError):
        raise
    except Exception as error:  # the libraries' own: an unknown model, a file that is no checkpoint
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{options.model}: cannot be opened: {reason}") from error
    shape = (about["channels"], about["size"], about["size"])
    partial = options.output + ".partial"
    trace = onnx_trace if options.output.endswith(".onnx") else script_trace
    with torch.no_grad():
        run, write_with = trace(model, torch.rand(2, *shape), partial)
        for rows in (1, 5):  # a trace may have noted the number of its rows
            x = torch.rand(rows, *shape)
            wanted, got = model(x), run(x)
            if wanted.dim() != 2 or len(wanted) != rows:
                raise UserError(f"{options.model}: gives {list(wanted.shape)} for {rows} images; features [B, D] are needed")
            if not torch.allclose(wanted, got, rtol=1e-4, atol=1e-5):
                raise UserError(f"{options.model}: its trace is not the model for {rows} images; it takes decisions by "
                                "what it sees")
    about = {**about, "model": options.model, "weights": options.weights and os.path.basename(options.weights),
             "random_init": options.random_init, "dim": wanted.shape[1]}
    write_with(json.dumps(about))
    os.replace(partial, options.output)
    return about


def read_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="timm/, torchvision/, open_clip/ or transformers/NAME, or file.py:function")
    parser.add_argument("--weights", help="a checkpoint; default: the library's own")
    parser.add_argument("--random-init", action="store_true", help="random weights, to try things")
    parser.add_argument("--pool", choices=["cls", "mean"], default="cls", help="of transformers")
    parser.add_argument("-o", "--output", required=True, help="the file to write, .pt or .onnx")
    options = parser.parse_args(arguments)
    options.text = False
    if options.weights and options.random_init:
        raise UserError("--weights and --random-init exclude each other")
    if options.weights and not os.path.isfile(options.weights):
        raise UserError(f"{options.weights}: no such weights file")
    return options


def write(arguments):
    options = read_options(arguments)
    about = export(options)
    print(f"{options.output}: {about['dim']} features of images of {about['size']} px ({about['resize']}, crop_pct "
          f"{about['crop_pct']:g}, {about['interpolation']})")
    plugin = "onnx" if options.output.endswith(".onnx") else "torchscript"
    print(f"encoder = {{ plugin = \"{plugin}\", path = {json.dumps(options.output)} }}")


def main(arguments):
    return freeze_features.status_of("export_encoder", lambda: write(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
