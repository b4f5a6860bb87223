#!/usr/bin/env python3
"""Writes tiny.onnx (a convolution and its mean, features [B, 5]), outputs.onnx (it and its double), silent.onnx (tiny.onnx
without what it wants of images) and fixed.onnx (tiny.onnx for two images at a time). Needs onnx and NumPy."""
import json
import pathlib

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

ABOUT = {"size": 16, "channels": 3, "resize": "crop", "crop_pct": 0.8, "interpolation": "bicubic", "mean": [0.25],
         "std": [0.5]}


def counted(name, *shape):
    size = int(numpy.prod(shape))
    return numpy_helper.from_array((numpy.arange(size, dtype="f4") / size).reshape(shape), name)


def model(outputs, rows="rows"):
    nodes = [helper.make_node("Conv", ["images", "weight", "bias"], ["pixels"]),
             helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
             helper.make_node("Flatten", ["pooled"], ["features"]),
             helper.make_node("Add", ["features", "features"], ["double"])]
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("images", TensorProto.FLOAT, [rows, 3, 16, 16])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, 5]) for name in outputs],
        [counted("weight", 5, 3, 3, 3), counted("bias", 5)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


folder = pathlib.Path(__file__).parent
for name, made in (("tiny", model(["features"])), ("outputs", model(["features", "double"])),
                   ("silent", model(["features"])), ("fixed", model(["features"], 2))):
    if name != "silent":
        made.metadata_props.add(key="nmlbench.json", value=json.dumps(ABOUT))
    onnx.checker.check_model(made)
    onnx.save(made, folder / f"{name}.onnx")
