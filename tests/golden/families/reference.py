"""Features, gradients and sizes of timm's models, for tests/unit/models/families_test.cpp.

usage: reference.py OUT.json [--all]    (needs timm; --all: every variant, else those that the repository keeps)

Weights are no files: both sides compute them from their names and places (fill()). Features, and other readouts (READOUTS),
are those of two images at two sizes, in evaluation mode; gradients those of the cross-entropy over 5 classes, in training mode, as norm and product
with a fixed direction. All is computed in float64 and rounded.
"""
import functools
import json
import sys

try:
    import numpy as np
    import timm
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

KEPT_COLUMNS = 128  # of the features; of other readouts 16, and a product of all with a fixed direction
CLASSES = 5


def uniform(name, count):
    """[count] in [0, 1): a hash of the name and the place."""
    seed = np.uint32(2166136261)
    with np.errstate(over="ignore"):
        for byte in name.encode():
            seed = (seed ^ np.uint32(byte)) * np.uint32(16777619)
        x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + seed
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        x = x ^ (x >> np.uint32(16))
    return ((x >> np.uint32(8)).astype(np.float64) * 2.0**-24).astype(np.float32)


def fill(name, tensor):
    u = torch.from_numpy(uniform(name, tensor.numel())).reshape(tensor.shape)
    if "token" in name or "pos_embed" in name:
        return u - 0.5
    if tensor.dim() > 1 and tensor.numel() > max(tensor.shape):
        return (2 * u - 1) * (3 * tensor.shape[0] / tensor.numel()) ** 0.5
    return 0.5 + u if name.endswith(("weight", "gamma", "running_var")) else 0.4 * (u - 0.5)


def images(size):
    return torch.from_numpy(4 * (uniform(f"input{size}", 2 * 3 * size * size) - 0.5)).reshape(2, 3, size, size).double()


def filled(model):
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                tensor.copy_(fill(name, tensor))
    return model.double()


def numbers(tensor):
    return [float(f"{x:.9g}") for x in tensor.flatten().tolist()]


# pooling, layer, layers
READOUTS = {"vit": [("cls", -1, 1), ("mean", -1, 1), ("max", -1, 1), ("cls+mean", -1, 1), ("cls", 5, 1), ("mean", 0, 1),
                    ("max", -2, 1), ("cls+mean", -1, 4), ("mean", 3, 2)]}
OF_STAGES = [("max", -1, 1), ("mean", 0, 1), ("mean", 1, 1), ("max", 2, 1), ("mean", 3, 1), ("mean", -1, 2), ("max", 3, 4)]


def vit_states(model, x):
    """[B, 1 + registers + patches, D], each through the last LayerNorm."""
    tokens = model.norm_pre(model._pos_embed(model.patch_embed(x)))
    after = model.forward_intermediates(x, norm=True, return_prefix_tokens=True, output_fmt="NLC", intermediates_only=True)
    return [model.norm(tokens)] + [torch.cat([prefix, patches], 1) for patches, prefix in after]


def stage_states(plugin, model, x):
    """[B, C, H, W]; all but the last, whose pooling is that of timm's head."""
    if plugin in ("convnext", "swin"):
        first = model.stem(x) if plugin == "convnext" else model.patch_embed(x).permute(0, 3, 1, 2)
        return [first] + model.forward_intermediates(x, indices=[0, 1, 2], intermediates_only=True)
    if plugin == "efficientnet":
        return model.forward_intermediates(x, indices=list(range(8)), extra_blocks=True, intermediates_only=True)
    return model.forward_intermediates(x, indices=list(range(4)), intermediates_only=True)


def readouts(plugin, make, size):
    """[{its parameters, its features}] of READOUTS."""
    x, entries = images(size), []
    heads = {pool: filled(make(size, CLASSES, global_pool={"mean": "avg"}.get(pool, pool),
                               **({"fc_norm": False} if plugin == "vit" else {}))).eval()
             for pool in ("mean", "max")}
    with torch.no_grad():
        if plugin == "vit":
            states = vit_states(heads["mean"], x)
            prefix = heads["mean"].num_prefix_tokens
        else:
            states = stage_states(plugin, heads["mean"], x) + [None]
        last = {pool: model.forward_head(model.forward_features(x), pre_logits=True) for pool, model in heads.items()}

    def pooled(state, pooling):
        if state is None or (pooling == "max" and state is states[-1]):
            return last[pooling]
        if plugin != "vit":
            return state.mean((2, 3)) if pooling == "mean" else state.amax((2, 3))
        return state[:, 0] if pooling == "cls" else getattr(state[:, prefix:], {"mean": "mean", "max": "amax"}[pooling])(1)

    for pooling, layer, layers in READOUTS.get(plugin, OF_STAGES):
        end = layer % len(states)
        wanted = states[end + 1 - layers:end + 1]
        if pooling == "cls+mean":
            features = torch.cat([pooled(state, "cls") for state in wanted] + [pooled(wanted[-1], "mean")], 1)
        else:
            features = torch.cat([pooled(state, pooling) for state in wanted], 1)
        direction = torch.from_numpy(uniform("direction", features.shape[1]) - 0.5).double()
        entries.append({"pooling": pooling, "layer": layer, "layers": layers, "largest": features.abs().max().item(),
                        "columns": features.shape[1], "first": numbers(features[:, :16]),
                        "products": numbers(features @ direction)})
    return entries


def describe(plugin, make, sizes):
    """make(size, classes) -> a timm model."""
    entry = {"features": {}, "readouts": {str(size): readouts(plugin, make, size) for size in sizes}}
    for size in sizes:
        model = filled(make(size, CLASSES)).eval()
        with torch.no_grad():
            features = model.forward_head(model.forward_features(images(size)), pre_logits=True)
        entry["features"][str(size)] = {"largest": features.abs().max().item(), "first": numbers(features[:, :KEPT_COLUMNS])}
    model = filled(make(sizes[0], CLASSES)).train()
    loss = torch.nn.functional.cross_entropy(model(images(sizes[0])), torch.tensor([1, 3]))
    loss.backward()
    entry["loss"] = loss.item()
    entry["gradients"] = {}
    for name, p in model.named_parameters():
        direction = torch.from_numpy(uniform("direction " + name, p.numel()) - 0.5).double().reshape(p.shape)
        entry["gradients"][name] = numbers(torch.stack([p.grad.norm(), (p.grad * direction).sum()]))
    return entry


def parameters(make, size):
    with torch.device("meta"):
        return sum(p.numel() for p in make(size, 1000).parameters())


def timm_model(name, **options):
    return lambda size, classes, **more: timm.create_model(name, num_classes=classes, **{**options, **more})


def vit(name, pool, **options):
    """Normalised before the mean; a vit's own width where CLIP has a projection."""
    pooling = {"global_pool": "token"} if pool == "cls" else {"global_pool": "avg", "fc_norm": False}
    return lambda size, classes, **more: timm.create_model(name, num_classes=classes, img_size=size,
                                                           **{**pooling, **options, **more})


def swin(name):
    return lambda size, classes, **more: timm.create_model(name, num_classes=classes, img_size=size, drop_path_rate=0, **more)


# name -> (plugin, its parameters, what makes timm's model, sizes, whether the repository keeps it, or None: only its number
# of parameters is compared, for the largest)
def cases():
    for variant in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2"):
        yield variant, "resnet", {"variant": variant}, timm_model(variant), (64, 96), variant in ("resnet18", "resnet50")
    for name in ("tiny", "small", "base", "large"):
        for patch in (16, 32):
            if name == "tiny" and patch == 32:
                continue
            for pool in ("cls", "mean"):
                yield (f"vit_{name}_patch{patch} {pool}", "vit", {"variant": f"vit_{name}", "patch": patch, "pool": pool},
                       vit(f"vit_{name}_patch{patch}_224", pool), (64, 96), name == "tiny")
    for name, size in (("base", 16), ("base", 32), ("large", 14)):
        yield (f"vit_{name}_patch{size}_clip", "vit", {"variant": f"vit_{name}", "patch": size, "pre_norm": True},
               vit(f"vit_{name}_patch{size}_clip_224", "cls"), (4 * size, 6 * size), False)
    quick = {"variant": "vit_base", "patch": 32, "pre_norm": True, "activation": "quick-gelu"}
    yield "vit_base_patch32_clip_quickgelu", "vit", quick, vit("vit_base_patch32_clip_quickgelu_224", "cls"), (128, 192), False
    every = {"pre_norm": True, "activation": "quick-gelu", "layer_scale": True, "registers": 4, "pool": "mean"}
    options = {"pre_norm": True, "act_layer": "quick_gelu", "init_values": 1e-5, "reg_tokens": 4, "no_embed_class": True,
               "norm_layer": functools.partial(torch.nn.LayerNorm, eps=1e-5)}
    yield ("every option", "vit", {"variant": "vit_tiny", **every}, vit("vit_tiny_patch16_224", "mean", **options), (64, 96),
           True)
    for name in ("small", "base", "large"):
        shape = {"variant": f"vit_{name}", "patch": 14, "layer_scale": True}
        yield f"vit_{name}_dinov2", "vit", shape, vit(f"vit_{name}_patch14_dinov2", "cls"), (56, 84), False
        yield (f"vit_{name}_reg4_dinov2", "vit", {**shape, "registers": 4, "pool": "mean"},
               vit(f"vit_{name}_patch14_reg4_dinov2", "mean"), (56, 84), False)
    for name in ("tiny", "small", "base", "large"):
        variant = f"convnext_{name}"
        yield variant, "convnext", {"variant": variant}, timm_model(variant), (64, 96), name == "tiny"
    for scale in [f"b{i}" for i in range(8)] + ["lite0", "lite1", "lite2"]:
        for variant in (f"efficientnet_{scale}", f"tf_efficientnet_{scale}"):
            kept = variant in ("efficientnet_b0", "tf_efficientnet_lite0")
            yield variant, "efficientnet", {"variant": variant}, timm_model(variant), (64, 90), kept
    for scale in ("50x1", "50x3", "101x1", "101x3", "152x2"):
        variant = f"resnetv2_{scale}_bit"
        kept = None if scale.endswith(("3", "2")) else scale == "50x1"
        yield variant, "resnetv2", {"variant": variant}, timm_model(variant), (64, 96), kept
    for name in ("tiny", "small", "base", "large"):
        variant = {"variant": f"swin_{name}"}
        yield variant["variant"], "swin", variant, swin(f"swin_{name}_patch4_window7_224"), (64, 224), name == "tiny"
        if name in ("base", "large"):
            yield (f"swin_{name} window12", "swin", {**variant, "window": 12}, swin(f"swin_{name}_patch4_window12_384"), (96, 384),
                   False)


def main():
    every = "--all" in sys.argv
    made = {}
    for name, plugin, params, make, sizes, kept in cases():
        made[name] = {"plugin": plugin, "params": params, "size": sizes[0], "parameters": parameters(make, sizes[0])}
        if kept or every and kept is not None:
            made[name].update(describe(plugin, make, sizes))
        print(name, made[name]["parameters"], flush=True)
    with open(sys.argv[1], "w") as out:
        out.write("{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}"
                                     for name, entry in made.items()) + "\n}\n")


if __name__ == "__main__":
    main()
