"""Embeddings, gradients, class scores and sizes of open_clip's models, for tests/unit/models/clip_family_test.cpp.

usage: reference.py OUT.json [--all]    (needs open_clip; --all: every variant, else those that the repository keeps)

Weights are no files: both sides compute them from their names and places (fill() of ../families/reference.py). Embeddings
are those of two images at two sizes and of TEXTS, in evaluation mode; gradients those of open_clip's ClipLoss over as many
pairs, in training mode, as norm and product with a fixed direction; so are tokens, as products alone. All is computed in float64 and rounded. The tokenizer
is open_clip's with the merges of ../text, or none.
"""
import gzip
import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "families")]

try:
    import open_clip
    import torch
    from open_clip.loss import ClipLoss
    from open_clip.model import CLIP
    from open_clip.tokenizer import SimpleTokenizer
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from reference import filled, images, numbers, uniform

MERGES = HERE.parent / "text/clip-merges.txt"
TEXTS = ["a photo of a dog", "The quick brown fox jumps over 12 lazy dogs, and it's late!"]
CLASSES = ["sea lion", "fox", "12 dogs"]
PROMPTS = ["a photo of a {}.", "the {}"]
SMALL = {"width": 512, "heads": 8, "layers": 12}
TINY = {"width": 64, "heads": 2, "layers": 2}
# name -> (embedding, image tower, text tower)
VARIANTS = {
    "RN50": (1024, {"layers": [3, 4, 6, 3], "width": 64}, SMALL),
    "RN101": (512, {"layers": [3, 4, 23, 3], "width": 64}, SMALL),
    "ViT-B-32": (512, {"layers": 12, "width": 768, "patch_size": 32}, SMALL),
    "ViT-B-16": (512, {"layers": 12, "width": 768, "patch_size": 16}, SMALL),
    "ViT-L-14": (768, {"layers": 24, "width": 1024, "patch_size": 14}, {"width": 768, "heads": 12, "layers": 12}),
    "RN-tiny": (64, {"layers": [1, 1, 1, 1], "width": 16}, TINY),
    "ViT-tiny": (64, {"layers": 3, "width": 64, "patch_size": 8, "head_width": 32}, TINY),
}
# variant, activation, sizes
COMPARED = [("RN-tiny", "gelu", (64, 96)), ("ViT-tiny", "gelu", (32, 48)), ("ViT-tiny", "quick-gelu", (32, 48))]
LARGE = [("RN50", "gelu", (64, 96)), ("ViT-B-32", "quick-gelu", (64, 96))]


def tokenizer():
    """SimpleTokenizer skips the first line, and reads as many merges as there are."""
    with tempfile.NamedTemporaryFile(suffix=".gz") as file:
        with gzip.open(file.name, "wt", encoding="utf-8") as out:
            out.write(MERGES.read_text(encoding="utf-8").rstrip("\n"))
        return SimpleTokenizer(bpe_path=file.name)


def make(variant, size, activation="gelu", vocabulary=514):
    embedding, image, text = VARIANTS[variant]
    return CLIP(embedding, {"image_size": size, **image}, {"context_length": 77, "vocab_size": vocabulary, **text},
                quick_gelu=activation == "quick-gelu")


def trunk_of(model, x):
    """What the projection into the joint space takes."""
    visual = model.visual
    if not hasattr(visual, "attnpool"):
        kept, visual.proj = visual.proj, None
        trunk = visual(x)
        visual.proj = kept
        return trunk
    pool = visual.attnpool
    kept, pool.c_proj = pool.c_proj, torch.nn.Linear(pool.c_proj.in_features, pool.c_proj.in_features).double()
    torch.nn.init.eye_(pool.c_proj.weight)
    torch.nn.init.zeros_(pool.c_proj.bias)
    trunk = visual(x)
    pool.c_proj = kept
    return trunk


def tokens_read(model, x):
    """What the trunk is pooled from: through the last LayerNorm, or what attention pools, as it is in its forward()."""
    visual = model.visual
    if not hasattr(visual, "attnpool"):
        visual.output_tokens = True
        pooled, patches = visual(x)
        visual.output_tokens = False
        return torch.cat([trunk_of(model, x).unsqueeze(1), patches], 1)
    seen = []
    hook = visual.attnpool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    visual(x)
    hook.remove()
    pixels = seen[0].flatten(2).transpose(1, 2)
    return torch.cat([pixels.mean(1, keepdim=True), pixels], 1) + visual.attnpool.positional_embedding


def along_a_direction(tokens):
    """[B, T]: one number of each token."""
    return tokens @ (torch.from_numpy(uniform("direction of tokens", tokens.shape[2])).double() - 0.5)


def class_scores(model, tokens_of, x):
    weights = []
    for name in CLASSES:
        embedded = model.encode_text(tokens_of([prompt.replace("{}", name) for prompt in PROMPTS]), normalize=True)
        weights.append(torch.nn.functional.normalize(embedded.mean(0), dim=0))
    return model.logit_scale.exp() * model.encode_image(x, normalize=True) @ torch.stack(weights).T


def describe(variant, activation, sizes, tokens_of):
    entry = {"variant": variant, "activation": activation, "sizes": {}}
    for size in sizes:
        model = filled(make(variant, size, activation, tokens_of.vocab_size)).eval()
        with torch.no_grad():
            x = images(size)
            entry["sizes"][str(size)] = {"embedding": numbers(model.encode_image(x)), "trunk": numbers(trunk_of(model, x)),
                                         "tokens": numbers(along_a_direction(tokens_read(model, x))),
                                         "scores": numbers(class_scores(model, tokens_of, x))}
    model = filled(make(variant, sizes[0], activation, tokens_of.vocab_size)).train()
    loss = ClipLoss()(model.encode_image(images(sizes[0]), normalize=True), model.encode_text(tokens_of(TEXTS), normalize=True),
                      model.logit_scale.exp())
    loss.backward()
    entry["loss"] = loss.item()
    entry["gradients"] = {}
    for name, p in model.named_parameters():
        direction = torch.from_numpy(uniform("direction " + name, p.numel()) - 0.5).double().reshape(p.shape)
        entry["gradients"][name] = numbers(torch.stack([p.grad.norm(), (p.grad * direction).sum()]))
    return entry


def main():
    tokens_of = tokenizer()
    made = {"texts": TEXTS, "classes": CLASSES, "prompts": PROMPTS,
            "tokens": [tokens_of(text)[0].tolist() for text in TEXTS], "parameters": {}, "compared": []}
    for variant in VARIANTS:
        size = {"RN-tiny": 64, "ViT-tiny": 32}.get(variant, 224)
        with torch.device("meta"):
            made["parameters"][variant] = sum(p.numel() for p in make(variant, size).parameters())
        print(variant, made["parameters"][variant], flush=True)
    for variant, activation, sizes in COMPARED + (LARGE if "--all" in sys.argv else []):
        made["compared"].append(describe(variant, activation, sizes, tokens_of))
        print(variant, activation, made["compared"][-1]["loss"], flush=True)
    with open(sys.argv[1], "w") as out:
        json.dump(made, out, separators=(",", ":"))
        out.write("\n")


if __name__ == "__main__":
    main()
