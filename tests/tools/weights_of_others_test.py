"""Files with weights, as libraries of models write them, give the features of those libraries' models; and timm and
torchvision take checkpoints of this program.

usage: weights_of_others_test.py NMLBENCH [WORD]    (needs timm, torchvision, transformers and safetensors; open_clip and
efficientnet_lite_pytorch are tried where they are installed. WORD: only the cases that it occurs in, "open_clip")
"""
import importlib
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import timm
    import torch
    import torchvision
    import transformers
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

SIZES = (64, 96)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5,), (0.5,)


def randomised(model):
    """Every parameter and statistic away from where it began."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            tensor.add_(0.1 * torch.rand_like(tensor) if name.endswith("running_var") else 0.02 * torch.randn_like(tensor))
    return model.eval()


def timm_features(model):
    return lambda x: model.forward_head(model.forward_features(x), pre_logits=True)


def without_head(model, head):
    setattr(model, head, torch.nn.Identity())
    return model


def resnet_config(layer_type, depths, hidden):
    return transformers.ResNetConfig(layer_type=layer_type, depths=depths, hidden_sizes=hidden)


# name, plugin and parameters, colours, size -> (the model whose state dict is saved, what makes features), sizes
def cases():
    def of_timm(name, **options):
        def make(size):
            model = randomised(timm.create_model(name, num_classes=1000, **options))
            return model, timm_features(model)
        return make

    yield "timm resnet34", 'plugin = "resnet", variant = "resnet34"', IMAGENET, of_timm("resnet34")
    yield "timm convnext", 'plugin = "convnext"', IMAGENET, of_timm("convnext_tiny")

    def resampled_vit(size):
        """Saved at 224 px; timm resamples its positions for the size it sees."""
        saved = randomised(timm.create_model("vit_tiny_patch16_224", num_classes=1000))
        model = timm.create_model("vit_tiny_patch16_224", num_classes=1000, img_size=size).eval()
        model.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(saved.state_dict(), model))
        return saved, lambda x: timm_features(model.to(x.dtype))(x)

    yield "timm vit at other sizes", 'plugin = "vit", variant = "vit_tiny"', HALF, resampled_vit

    def of_torchvision(name, head):
        def make(size):
            options = {"image_size": size} if name.startswith("vit") else {}
            model = randomised(getattr(torchvision.models, name)(**options))
            def features(x):
                kept = getattr(model, head)
                layers = list(kept.children())[:-1] if isinstance(kept, torch.nn.Sequential) else []
                setattr(model, head, torch.nn.Sequential(*layers))
                y = model(x)
                setattr(model, head, kept)
                return y.flatten(1)
            return model, features
        return make

    yield "torchvision wide_resnet50_2", 'plugin = "resnet", variant = "wide_resnet50_2"', IMAGENET, of_torchvision("wide_resnet50_2", "fc")
    yield "torchvision vit_b_16", 'plugin = "vit"', HALF, of_torchvision("vit_b_16", "heads")
    yield "torchvision convnext_tiny", 'plugin = "convnext"', IMAGENET, of_torchvision("convnext_tiny", "classifier")

    def of_transformers(make_model, pooled):
        def make(size):
            model = randomised(make_model(size))
            return model, lambda x: pooled(model(pixel_values=x))
        return make

    def hf_resnet(size):
        return transformers.ResNetForImageClassification(resnet_config("bottleneck", [3, 4, 6, 3], [256, 512, 1024, 2048])).resnet

    def hf_resnet18(size):
        return transformers.ResNetModel(resnet_config("basic", [2, 2, 2, 2], [64, 128, 256, 512]))

    def hf_clip(size):
        model = randomised(transformers.CLIPModel(transformers.CLIPConfig(vision_config={"image_size": size})))
        return model, lambda x: model.get_image_features(pixel_values=x).pooler_output

    def vit_config(kind, size, patch=16, **options):
        return kind(hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768, image_size=size,
                    patch_size=patch, **options)

    yield ("transformers resnet50", 'plugin = "resnet"', IMAGENET, of_transformers(hf_resnet, lambda out: out.pooler_output.flatten(1)))
    yield ("transformers resnet18", 'plugin = "resnet", variant = "resnet18"', IMAGENET,
           of_transformers(hf_resnet18, lambda out: out.pooler_output.flatten(1)))
    yield ("transformers ViT", 'plugin = "vit", variant = "vit_tiny"', HALF,
           of_transformers(lambda size: transformers.ViTModel(vit_config(transformers.ViTConfig, size, layer_norm_eps=1e-6)), lambda out: out.last_hidden_state[:, 0]))
    yield ("transformers DINOv2", 'plugin = "vit", variant = "vit_tiny", layer_scale = true, pool = "mean"', HALF,
           of_transformers(lambda size: transformers.Dinov2Model(
               transformers.Dinov2Config(hidden_size=192, num_hidden_layers=12, num_attention_heads=3, image_size=size, patch_size=16)),
               lambda out: out.last_hidden_state[:, 1:].mean(1)))
    yield ("transformers CLIP", 'plugin = "vit", variant = "vit_tiny", pre_norm = true, activation = "quick-gelu"', HALF,
           of_transformers(lambda size: transformers.CLIPVisionModel(vit_config(transformers.CLIPVisionConfig, size)), lambda out: out.pooler_output))
    yield ("transformers CLIPModel", 'plugin = "clip", variant = "ViT-B-32", activation = "quick-gelu"', HALF, hf_clip)
    yield ("transformers ConvNeXt", 'plugin = "convnext"', IMAGENET,
           of_transformers(lambda size: transformers.ConvNextModel(transformers.ConvNextConfig()), lambda out: out.pooler_output))

    yield ("timm tf_efficientnet_b0", 'plugin = "efficientnet", variant = "tf_efficientnet_b0"', IMAGENET,
           of_timm("tf_efficientnet_b0"))
    yield ("torchvision efficientnet_b0", 'plugin = "efficientnet"', IMAGENET, of_torchvision("efficientnet_b0", "classifier"))
    yield "timm resnetv2", 'plugin = "resnetv2"', HALF, of_timm("resnetv2_50x1_bit")
    yield ("transformers BiT", 'plugin = "resnetv2"', HALF,
           of_transformers(lambda size: transformers.BitModel(transformers.BitConfig()), lambda out: out.pooler_output.flatten(1)))
    # torchvision and transformers agree with timm where windows fill the image
    yield "timm swin", 'plugin = "swin"', IMAGENET, of_timm("swin_tiny_patch4_window7_224"), (224,)
    yield "torchvision swin_t", 'plugin = "swin"', IMAGENET, of_torchvision("swin_t", "head"), (224,)
    yield ("transformers Swin", 'plugin = "swin"', IMAGENET,
           of_transformers(lambda size: transformers.SwinModel(transformers.SwinConfig()), lambda out: out.pooler_output), (224,))

    if open_clip := optional("open_clip"):
        def open_clip_vit(size):
            vision = open_clip.CLIPVisionCfg(layers=12, width=192, head_width=64, patch_size=16, image_size=size)
            text = open_clip.CLIPTextCfg(layers=1, width=64, heads=1, vocab_size=100, context_length=8)
            model = randomised(open_clip.CLIP(64, vision, text, quick_gelu=True))

            def features(x):
                projection, model.visual.proj = model.visual.proj, None
                y = model.visual(x)
                model.visual.proj = projection
                return y
            return model, features

        yield ("open_clip ViT", 'plugin = "vit", variant = "vit_tiny", pre_norm = true, activation = "quick-gelu"', HALF,
               open_clip_vit)

        def open_clip_resnet(size):
            vision = open_clip.CLIPVisionCfg(layers=(3, 4, 6, 3), width=64, image_size=size)
            model = randomised(open_clip.CLIP(1024, vision, open_clip.CLIPTextCfg(layers=1, width=64, heads=1)))
            return model, model.encode_image

        yield "open_clip RN50", 'plugin = "clip"', HALF, open_clip_resnet

        def openai_resnet(size):
            """OpenAI's files have open_clip's names, and three numbers beside the weights."""
            model, features = open_clip_resnet(size)
            for name, number in (("input_resolution", size), ("context_length", 77), ("vocab_size", 49408)):
                vars(model).pop(name, None)  # open_clip has some as plain numbers
                model.register_buffer(name, torch.tensor(number))
            return model, features

        yield "OpenAI RN50", 'plugin = "clip"', HALF, openai_resnet

        def clip_vit(size):
            model = randomised(open_clip.CLIP(512, open_clip.CLIPVisionCfg(layers=12, width=768, patch_size=32, image_size=size),
                                              open_clip.CLIPTextCfg(layers=1, width=64, heads=1)))
            return model, model.encode_image

        yield "open_clip ViT-B-32", 'plugin = "clip", variant = "ViT-B-32"', HALF, clip_vit
    if lite := optional("efficientnet_lite_pytorch"):
        def of_wheel(size):
            model = randomised(lite.EfficientNet.from_name("efficientnet-lite0"))
            return model, lambda x: model.extract_features(x).mean((2, 3))

        yield ("efficientnet_lite_pytorch", 'plugin = "efficientnet", variant = "tf_efficientnet_lite0"', HALF, of_wheel, (224,))


def optional(name):
    """The module, or None, with a line that says so."""
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        print(f"not tried: {missing}")


MATRIX = """
[matrix]
name = "others"
seeds = [0]
[[pretrain]]
encoder = {{ {encoder}, weights = "{weights}", size = {size}, resize = "squash", mean = {mean}, std = {std} }}
[[task]]
name = "t"
train = {{ plugin = "npy-images", x = "x{size}.npy", y = "y.npy" }}
[[task.test]]
kind = "id"
data = {{ plugin = "npy-images", x = "x{size}.npy", y = "y.npy" }}
[[tuner]]
plugin = "linear-probe"
"""


def features_of(nmlbench, folder, matrix):
    (folder / "m.toml").write_text(matrix)
    out = folder / "out"
    done = subprocess.run([nmlbench, "features", folder / "m.toml", "-o", out, "--cache-dir", folder / "cache"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = sorted(out.rglob("*_x.npy"))
    assert len(found) == 1, found
    x = np.load(found[0])
    found[0].unlink()
    return x


def compare(nmlbench, folder, write, name, encoder, colours, make, sizes=SIZES):
    for size in sizes:
        model, features = make(size)
        weights = save(model, write, folder)
        matrix = MATRIX.format(encoder=encoder, weights=weights, size=size, mean=list(colours[0]), std=list(colours[1]))
        got = features_of(nmlbench, folder, matrix)
        expect_equal(f"{name}, {size} px", got, model, features, prepared(folder, size, colours))


def prepared(folder, size, colours):
    images = torch.from_numpy(np.load(folder / f"x{size}.npy")).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(c).view(1, -1, 1, 1) for c in colours)
    return (images - mean) / std


def expect_equal(name, got, model, features, x):
    """To 1e-5 of the model's own features in float64, or, where its own float32 is further off, to three times that."""
    with torch.no_grad():
        single = features(x).numpy()
        model.double()
        exact = features(x.double()).numpy()
        model.float()
    assert got.shape == exact.shape, (name, got.shape, exact.shape)
    error, rounding = (np.abs(y - exact).max() / np.abs(exact).max() for y in (got, single))
    print(f"{name}: {error:.1e} (its own float32: {rounding:.1e})", flush=True)
    assert error < max(1e-5, 3 * rounding), name


def save(model, write, folder):
    """transformers has other names in memory than in files."""
    if not isinstance(model, transformers.PreTrainedModel):
        return write(model.state_dict(), folder)
    model.save_pretrained(folder)
    return "model.safetensors"


def as_safetensors(state, folder):
    save_file({k: v.contiguous() for k, v in state.items()}, folder / "w.safetensors")
    return "w.safetensors"


def as_shards(state, folder):
    names = sorted(state)
    halves = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({k: state[k].contiguous() for k in part}, folder / file)
    index = {"metadata": {}, "weight_map": {k: file for file, part in halves.items() for k in part}}
    (folder / "w.safetensors.index.json").write_text(json.dumps(index))
    return "w.safetensors.index.json"


def as_torch_save(state, folder):
    torch.save(state, folder / "w.pth")
    return "w.pth"


def as_training_checkpoint(state, folder):
    torch.save({"epoch": 7, "state_dict": {"module." + k: v for k, v in state.items()}, "lr": 0.1}, folder / "w.bin",
               _use_new_zipfile_serialization=False)
    return "w.bin"


TRAINED = """
[matrix]
name = "ours"
seeds = [0]
[[pretrain]]
encoder = {{ {encoder}, size = 64, resize = "squash", mean = {mean}, std = {std} }}
dataset = {{ plugin = "procedural", split = "pretrain", classes = 8, per_class = 16 }}
optim = {{ epochs = 1, batch_size = 32, lr = 0.01 }}
[[task]]
name = "t"
train = {{ plugin = "npy-images", x = "x64.npy", y = "y.npy" }}
[[task.test]]
kind = "id"
data = {{ plugin = "npy-images", x = "x64.npy", y = "y.npy" }}
[[tuner]]
plugin = "linear-probe"
"""


def load_ours(nmlbench, folder):
    """timm and torchvision take what `nmlbench checkpoints` writes, head included, by its names."""
    resnet = 'plugin = "resnet", variant = "resnet18", drop_path = 0.1'
    for encoder, colours, make in (
            (resnet, IMAGENET, lambda: timm.create_model("resnet18", num_classes=8)),
            (resnet, IMAGENET, lambda: torchvision.models.resnet18(num_classes=8)),
            ('plugin = "vit", variant = "vit_tiny"', HALF, lambda: timm.create_model("vit_tiny_patch16_224", num_classes=8, img_size=64)),
            ('plugin = "convnext"', IMAGENET, lambda: timm.create_model("convnext_tiny", num_classes=8)),
            ('plugin = "efficientnet"', IMAGENET, lambda: timm.create_model("efficientnet_b0", num_classes=8)),
            ('plugin = "resnetv2"', HALF, lambda: timm.create_model("resnetv2_50x1_bit", num_classes=8)),
            ('plugin = "swin"', IMAGENET, lambda: timm.create_model("swin_tiny_patch4_window7_224", num_classes=8, img_size=64))):
        got = features_of(nmlbench, folder, TRAINED.format(encoder=encoder, mean=list(colours[0]), std=list(colours[1])))
        out = folder / "checkpoints"
        done = subprocess.run([nmlbench, "checkpoints", folder / "m.toml", "-o", out, "--cache-dir", folder / "cache"],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (described,) = json.loads((out / "index.json").read_text())["checkpoints"]
        weights = out / described["file"]
        model = make().eval()
        model.load_state_dict(load_file(weights))
        with safe_open(weights, "pt") as file:
            said = file.metadata()
        assert said["encoder"].startswith(encoder.split('"')[1] + "@"), said
        assert (said["seed"], said["noise"], float(said["realised_rate"])) == ("0", "clean", 0), said
        features = timm_features(model) if hasattr(model, "forward_head") else without_head(model, "fc")
        expect_equal(f"checkpoint of {encoder}", got, model, features, prepared(folder, 64, colours))


def main():
    nmlbench, word = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    writers = [as_safetensors, as_shards, as_torch_save, as_training_checkpoint]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        draws = np.random.default_rng(0)
        for size in (*SIZES, 224):
            np.save(folder / f"x{size}.npy", draws.integers(0, 256, (4, size, size, 3), dtype=np.uint8))
        np.save(folder / "y.npy", np.array([0, 1, 0, 1]))
        if not word:
            load_ours(nmlbench, folder)
        for i, case in enumerate(case for case in cases() if word in case[0]):
            compare(nmlbench, folder, writers[i % len(writers)], *case)


if __name__ == "__main__":
    main()
