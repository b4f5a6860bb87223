"""The first 20 losses of fine-tuning with plain PyTorch and peft, for tests/unit/engine/tuned_encoder_test.cpp.

usage: reference.py OUT.json    (needs timm, transformers and peft)

Weights, images and the matrices A of LoRA are no files: both sides compute them from their names and places (fill() of
../families/reference.py). Encoders are in evaluation mode; all is computed in float64 and rounded.
"""
import json
import math
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "text"), str(HERE.parent / "families")]

try:
    import peft
    import timm
    import torch
    import transformers
    import tokens
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from families import bert, padded
from reference import fill, filled, uniform

CLASSES, STEPS, DECAY = 5, 20, 0.05
IMAGES, SIZE = 6, 32
TEXTS = ["The quick brown fox jumps over the lazy dog", "a", "one two three four five", "over the fox",
         "dogs and foxes, lazy or quick", "the the the"]
MLP_OF_VIT = r".*\.mlp\.fc[12]"
MLP_OF_BERT = r".*\.intermediate\.dense|.*layer\.\d+\.output\.dense"


def labels(step, count):
    return torch.tensor([(3 * step + 2 * i) % CLASSES for i in range(count)])


def image_batch(step):
    u = torch.from_numpy(uniform(f"images {step}", IMAGES * 3 * SIZE * SIZE))
    return (4 * (u - 0.5)).reshape(IMAGES, 3, SIZE, SIZE).double()


class Timm(torch.nn.Module):
    def __init__(self, name, **options):
        super().__init__()
        self.model = filled(timm.create_model(name, num_classes=0, **options)).eval()

    def features(self, step):
        return self.model(image_batch(step))

    def rows(self):
        return IMAGES


class Bert(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = filled(bert(48, 3, 4)).eval()
        self.tokenizer = tokens.small(HERE.parent / "text")["bert"]

    def features(self, step):
        texts = [TEXTS[(step + i) % len(TEXTS)] for i in range(self.rows())]
        ids, types, mask = padded([self.tokenizer(text) for text in texts])
        return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state[:, 0]

    def rows(self):
        return 4


def with_lora(encoder, targets, rank, alpha):
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0, bias="none", target_modules=targets)
    encoder.model = peft.get_peft_model(encoder.model, config).double().eval()
    for name, tensor in encoder.model.named_parameters():
        if "lora_A" in name:  # base_model.model.blocks.0.mlp.fc1.lora_A.default.weight
            own = name.removeprefix("base_model.model.").replace(".lora_A.default", "") + ".A"
            with torch.no_grad():
                tensor.copy_(fill(own, tensor.flatten(1)).reshape(tensor.shape))
    return [p for p in encoder.model.parameters() if p.requires_grad]


def moved(encoder, tuner, params, targets):
    if tuner == "lora":
        return with_lora(encoder, targets, params["rank"], params["alpha"])
    return [p for name, p in encoder.model.named_parameters() if tuner != "bitfit" or name.endswith("bias")]


def terms(z, covariance, dominance, top_k):
    """NMTune's two losses on the features, as PAPER.md has them."""
    centred = z - z.mean(0)
    c = centred.T @ centred / (len(z) - 1)
    sigma = torch.linalg.svdvals(z)
    return (covariance * (c.square().sum() - c.diagonal().square().sum()) / z.shape[1]
            - dominance * (sigma[:top_k] / sigma.sum()).mean())


def losses(encoder, tuner, params, targets, lr):
    encoder_parameters = moved(encoder, tuner, params, targets)
    width = encoder.features(0).shape[1]
    weight = fill("head.weight", torch.empty(CLASSES, width)).double().requires_grad_()
    bias = fill("head.bias", torch.empty(CLASSES)).double().requires_grad_()
    optimizer = torch.optim.AdamW([*encoder_parameters, weight, bias], lr=lr, weight_decay=DECAY)
    made = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        optimizer.zero_grad()
        z = encoder.features(step)
        loss = torch.nn.functional.cross_entropy(z @ weight.T + bias, labels(step, encoder.rows()))
        if params.get("covariance") or params.get("dominance"):
            loss = loss + terms(z, params["covariance"], params["dominance"], params["top_k"])
        loss.backward()
        optimizer.step()
        made.append(float(f"{loss.item():.9g}"))
    return made


def main():
    vit = ("vit", {"variant": "vit_tiny", "size": SIZE}, lambda: Timm("vit_tiny_patch16_224", img_size=SIZE))
    resnet = ("resnet", {"variant": "resnet18", "size": SIZE}, lambda: Timm("resnet18"))
    text = ("bert", {"width": 48, "depth": 3, "heads": 4}, Bert)
    rank4 = {"rank": 4, "alpha": 16}
    paper = {"covariance": 0.01, "dominance": 0.01, "top_k": 1}
    cases = []
    for (plugin, shape, make), tuner, params, targets in (
            (vit, "full-finetune", {}, None), (vit, "bitfit", {}, None), (vit, "lora", rank4, MLP_OF_VIT),
            (vit, "lora", {**rank4, **paper}, MLP_OF_VIT), (vit, "full-finetune", paper, None),
            (text, "full-finetune", {}, None), (text, "bitfit", {}, None), (text, "lora", rank4, MLP_OF_BERT),
            (resnet, "full-finetune", {}, None),
            (resnet, "lora", {**rank4, "targets": ["layer1.*.conv*.weight", "layer2.0.downsample.0.weight"]},
             r"layer1\.\d\.conv\d|layer2\.0\.downsample\.0")):
        # all weights of resnet: rectifiers turn the rounding of float32 into other losses within steps of 1e-3
        lr = 1e-5 if make is resnet[2] and tuner == "full-finetune" else 1e-3
        case = {"encoder": plugin, "shape": shape, "tuner": tuner, "params": params, "lr": lr,
                "losses": losses(make(), tuner, params, targets, lr)}
        cases.append(case)
        print(plugin, tuner, params, case["losses"][0], case["losses"][-1], flush=True)
    with open(sys.argv[1], "w") as out:
        head = {"classes": CLASSES, "weight_decay": DECAY, "images": IMAGES, "size": SIZE, "texts": TEXTS}
        body = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        out.write(json.dumps(head)[:-1] + ', "cases": [\n' + body + "\n]}\n")


if __name__ == "__main__":
    main()
