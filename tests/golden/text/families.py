"""Features, gradients and sizes of transformers' models, for tests/unit/models/text_families_test.cpp.

usage: families.py OUT.json    (needs transformers)

Weights are no files: both sides compute them from their names and places (fill() of ../families/reference.py). All is
computed in float64 and rounded.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "families")]

try:
    import torch
    import transformers
    import tokens
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from reference import fill, filled, numbers, uniform

CLASSES = 5
TEXTS = [("The quick brown fox jumps over the lazy dog, and it's 12.5 na\u00efve caf\u00e9s", None), ("a", None),
         ("one two three", "four five six seven")]
LABELS = [1, 3, 0]
LAYERS = (0, 1, -1)
VOCABULARY = 420  # of the small ones here
BERT = {"bert-tiny": (128, 2, 2), "bert-mini": (256, 4, 4), "bert-small": (512, 4, 8), "bert-medium": (512, 8, 8),
        "bert-base": (768, 12, 12), "bert-large": (1024, 24, 16)}


def bert(width, depth, heads):
    config = transformers.BertConfig(vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=depth,
                                     num_attention_heads=heads, intermediate_size=4 * width)
    return transformers.BertModel(config, add_pooling_layer=False)


def roberta(width, depth, heads):
    config = transformers.RobertaConfig(vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=depth,
                                        num_attention_heads=heads, intermediate_size=4 * width, type_vocab_size=1,
                                        max_position_embeddings=514, layer_norm_eps=1e-5)
    return transformers.RobertaModel(config, add_pooling_layer=False)


def gpt2(width, depth, heads):
    return transformers.GPT2Model(transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=width, n_layer=depth, n_head=heads))


def pooled(hidden, mask):
    """Each pooling of hidden [B, N, D]; those of cls+mean are two of them."""
    lengths = mask.sum(1)
    there = mask.unsqueeze(-1).to(hidden.dtype)
    return {"cls": hidden[:, 0], "mean": (hidden * there).sum(1) / lengths.unsqueeze(1),
            "max": hidden.masked_fill(there == 0, -torch.inf).amax(1),
            "last-token": hidden[torch.arange(len(hidden)), lengths - 1]}


def padded(encodings):
    longest = max(len(encoding["input_ids"]) for encoding in encodings)

    def column(key, default):
        return torch.tensor([(e.get(key) or [default] * len(e["input_ids"])) + [0] * (longest - len(e["input_ids"]))
                             for e in encodings])
    return column("input_ids", 0), column("token_type_ids", 0), column("attention_mask", 1)


def describe(make, tokenizer, shape, pooling):
    ids, types, mask = padded([tokenizer(first, second) if second is not None else tokenizer(first)
                               for first, second in TEXTS])

    def hidden_states(model):
        more = {"token_type_ids": types} if isinstance(model, transformers.BertModel) else {}
        if isinstance(model, transformers.RobertaModel):  # they are taken from the number of padding, which no text has
            more = {"position_ids": torch.arange(ids.shape[1]).expand(ids.shape) + 2}
        return model(input_ids=ids, attention_mask=mask, output_hidden_states=True, **more).hidden_states

    model = filled(make(*shape)).eval()
    entry = {"features": {}}
    with torch.no_grad():
        states = hidden_states(model)
        for layer in LAYERS:
            entry["features"][str(layer)] = {name: {"largest": x.abs().max().item(), "all": numbers(x)}
                                             for name, x in pooled(states[layer], mask).items()}
    weight, bias = (fill(f"classifier.{name}", torch.empty(size)).double().requires_grad_()
                    for name, size in (("weight", (CLASSES, shape[0])), ("bias", (CLASSES,))))
    logits = pooled(hidden_states(model)[-1], mask)[pooling] @ weight.T + bias
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(LABELS))
    loss.backward()
    entry["loss"] = loss.item()
    entry["gradients"] = {}
    for name, p in [*model.named_parameters(), ("classifier.weight", weight), ("classifier.bias", bias)]:
        direction = torch.from_numpy(uniform("direction " + name, p.numel()) - 0.5).double().reshape(p.shape)
        entry["gradients"][name] = numbers(torch.stack([p.grad.norm(), (p.grad * direction).sum()]))
    return entry


def main():
    tokenizers = tokens.small(HERE)
    made = {"texts": TEXTS, "labels": LABELS, "compared": [], "parameters": {}}
    for plugin, make, pooling in (("bert", bert, "cls"), ("roberta", roberta, "cls"), ("gpt2", gpt2, "last-token")):
        shape = (48, 3, 4)
        made["compared"].append({"plugin": plugin, "width": shape[0], "depth": shape[1], "heads": shape[2],
                                 **describe(make, tokenizers[plugin], shape, pooling)})
    variants = [("bert", bert, BERT), ("roberta", roberta, {"roberta-base": (768, 12, 12), "roberta-large": (1024, 24, 16)}),
                ("gpt2", gpt2, {"gpt2": (768, 12, 12), "gpt2-medium": (1024, 24, 16), "gpt2-large": (1280, 36, 20),
                                "gpt2-xl": (1600, 48, 25)})]
    for plugin, make, shapes in variants:
        for variant, shape in shapes.items():
            with torch.device("meta"):
                count = sum(p.numel() for p in make(*shape).parameters())
            made["parameters"][variant] = {"plugin": plugin, "count": count + 1000 * (shape[0] + 1)}
            print(variant, made["parameters"][variant], flush=True)
    with open(sys.argv[1], "w") as out:
        json.dump(made, out, separators=(",", ":"))
        out.write("\n")


if __name__ == "__main__":
    main()
