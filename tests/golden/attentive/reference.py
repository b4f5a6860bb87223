"""The attentive probe of AIM in plain PyTorch, for tests/unit/tuners/attentive_probe_test.cpp.

usage: reference.py OUT.json

Keys and values of every token are projected, as in the paper (El-Nouby et al., ICML 2024); tokens are normalised by
torch.nn.BatchNorm1d without its affine map, and torch.optim.AdamW takes the steps. All in float64. Weights and tokens are
no files: both sides compute them from their names and places (uniform() of ../families/reference.py). In padded cases
samples have tokens of their own number, which alone are normalised and attended to.
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "families"))

try:
    import torch
    from reference import numbers, uniform
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ROWS, TOKENS, COLUMNS, CLASSES, STEPS, LR, DECAY = 7, 5, 12, 4, 20, 0.02, 0.05


def filled(name, *sizes):
    count = 1
    for size in sizes:
        count *= size
    return torch.from_numpy(uniform(name, count)).reshape(*sizes).double() - 0.5


def tokens(step):
    """[ROWS, TOKENS, COLUMNS], whose columns have scales and means of their own."""
    scale = 1 + torch.arange(COLUMNS).double() / 3
    return 4 * scale * filled(f"tokens {step}", ROWS, TOKENS, COLUMNS) + scale.flip(0)


def present(step, padded):
    """bool [ROWS, TOKENS]: from one to all tokens of a row."""
    lengths = torch.tensor([1 + (step + 3 * i) % TOKENS if padded else TOKENS for i in range(ROWS)])
    return torch.arange(TOKENS) < lengths.unsqueeze(1)


def labels(step):
    return torch.tensor([(3 * step + 2 * i) % CLASSES for i in range(ROWS)])


class Probe(torch.nn.Module):
    def __init__(self, heads):
        super().__init__()
        self.heads = heads
        self.norm = torch.nn.BatchNorm1d(COLUMNS, affine=False, eps=1e-6).double()
        for name, sizes in {"query": (COLUMNS,), "key": (COLUMNS, COLUMNS), "value": (COLUMNS, COLUMNS),
                            "weight": (CLASSES, COLUMNS)}.items():
            self.register_parameter(name, torch.nn.Parameter(filled(name, *sizes)))

    def forward(self, x, there):
        x = torch.zeros_like(x).masked_scatter(there.unsqueeze(2), self.norm(x[there]))
        apart = lambda z: z.unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # [.., heads, N, columns of a head]
        query = self.query.expand(len(x), 1, COLUMNS)
        seen = torch.nn.functional.scaled_dot_product_attention(apart(query), apart(x @ self.key.T), apart(x @ self.value.T),
                                                                attn_mask=there[:, None, None])
        y = seen.transpose(-3, -2).flatten(-2)[:, 0]
        return y @ self.weight.T, y


def main():
    cases = []
    for heads, padded in ((1, False), (3, False), (1, True), (3, True)):
        probe = Probe(heads).train()
        optimizer = torch.optim.AdamW(probe.parameters(), lr=LR, weight_decay=DECAY)
        losses = []
        for step in range(STEPS):
            loss = torch.nn.functional.cross_entropy(probe(tokens(step), present(step, padded))[0], labels(step))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss)
        with torch.no_grad():
            logits, y = probe.eval()(tokens(STEPS), present(STEPS, padded))
        cases.append({"attention_heads": heads, "padded": padded, "losses": numbers(torch.stack(losses).detach()),
                      "logits": numbers(logits), "y": numbers(y)})
    pathlib.Path(sys.argv[1]).write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
