"""The protocol of PAPER.md in plain PyTorch, one head and one encoder at a time, as its authors' code does it.

It is the reference that tests compare accuracies with and the peer that benchmarks compare speeds with, so it is
written as a careful user would write it: no needless copies, no Python loop where PyTorch has an operation.
"""
import math
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

TUNERS = {  # learning rate, weights of consistency, covariance and dominance, singular values averaged
    "linear-probe": (0.01, None, 0),
    "mlp": (0.001, None, 0),
    "nmtune official": (0.001, (1.0, 0.04, 0.001), 5),
    "nmtune paper": (0.001, (0.01, 0.01, 0.01), 1),
}


def rate_of(step, device, seconds, at_once=1):
    """Calls of `step` a second, over at least `seconds`, after some to warm up; the device is waited for after `at_once`."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    for _ in range(max(2, at_once)):
        step()
    wait()
    steps, begin = 0, time.perf_counter()
    while steps < 1 or time.perf_counter() - begin < seconds:
        for _ in range(at_once):
            step()
        wait()
        steps += at_once
    return steps / (time.perf_counter() - begin)


def print_ratios(name, ways, speeds):
    """A line for ours and each of PyTorch's `ways`, of which `speeds` has one number a pair: the median, and what part of it ours
    in bf16 is."""
    best = max(ways, key=lambda way: statistics.median(speeds[way]))
    for way, theirs in speeds.items():
        ratio = statistics.median(ours / other for ours, other in zip(speeds["ours bf16"], theirs))
        print(f"{name:14} {way:28} {statistics.median(theirs):8.2f}  ours bf16 / this {ratio:5.2f}{'  best' if way == best else ''}",
              flush=True)


def make_linear(dim, classes):
    layer = nn.Linear(dim, classes)
    nn.init.kaiming_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Mlp(nn.Module):
    def __init__(self, dim, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(dim, 4 * dim), nn.BatchNorm1d(4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
        self.scale = nn.Parameter(torch.ones(dim))
        self.head = make_linear(dim, classes)

    def features(self, x):
        return x + self.scale * self.body(x)

    def forward(self, x):
        return self.head(self.features(x))


def covariance(z):
    centred = z - z.mean(0)
    c = centred.T @ centred / (len(z) - 1)
    return (c - torch.diag(torch.diag(c))).square().sum() / z.shape[1]


def dominance(z, top_k):
    sigma = torch.linalg.svdvals(z)
    return -(sigma / sigma.sum())[:top_k].mean()


def regularisers(z, f, weights, top_k):
    consistency_weight, covariance_weight, dominance_weight = weights
    return (consistency_weight * F.mse_loss(F.normalize(z), F.normalize(f)) + covariance_weight * covariance(z)
            + dominance_weight * dominance(z, top_k))


class HeadTrainer:
    """One head and its optimiser; `step` is one minibatch."""

    def __init__(self, name, dim, classes, total_steps, lr=None, weight_decay=1e-4):
        default_lr, self.weights, self.top_k = TUNERS[name]
        self.lr = default_lr if lr is None else lr
        self.total_steps = total_steps
        self.steps = 0
        self.probe = name == "linear-probe"
        self.model = make_linear(dim, classes) if self.probe else Mlp(dim, classes)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.lr, weight_decay=weight_decay)

    def loss(self, f, labels):
        if self.probe:
            return F.cross_entropy(self.model(f), labels)
        z = self.model.features(f)
        loss = F.cross_entropy(self.model.head(z), labels)
        return loss if self.weights is None else loss + regularisers(z, f, self.weights, self.top_k)

    def step(self, f, labels):
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * 0.5 * (1 + math.cos(math.pi * self.steps / self.total_steps))
        loss = self.loss(f, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.steps += 1


def train_head(name, x, y, classes, epochs, seed, batch=64, lr=None, weight_decay=1e-4):
    """Trains one head on features x [N, D] and labels y [N]; returns it in evaluation mode."""
    torch.manual_seed(seed)
    trainer = HeadTrainer(name, x.shape[1], classes, epochs * math.ceil(len(x) / batch), lr, weight_decay)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            if len(rows) > 1:  # batch normalisation needs two
                trainer.step(x[rows], y[rows])
    return trainer.model.eval()


class Block(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.skip = nn.Identity()
        if inside != out or stride != 1:
            self.skip = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.skip(x))


class ResNetTiny(nn.Module):
    """The encoder `resnet-tiny` with its pre-training head."""

    def __init__(self, classes, width=32):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                                  Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2))
        self.head = nn.Linear(4 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x):
        return self.body(x).float().mean((2, 3))

    def forward(self, x):
        return self.head(self.features(x))


def normalise(images):
    """uint8 [B, 3, H, W] -> float32, as the encoder wants it."""
    return (images.float() / 255 - 0.5) / 0.25


def shifted(images, reach=2):
    """Random translation of each image by up to `reach` px, reflected borders."""
    b, _, h, w = images.shape
    padded = F.pad(images.float(), (reach,) * 4, mode="reflect")
    there = {"device": images.device}
    dy, dx = torch.randint(2 * reach + 1, (b,), **there), torch.randint(2 * reach + 1, (b,), **there)
    rows = dy.view(b, 1, 1, 1) + torch.arange(h, **there).view(1, 1, h, 1)
    columns = dx.view(b, 1, 1, 1) + torch.arange(w, **there).view(1, 1, 1, w)
    channels = torch.arange(3, **there).view(1, 3, 1, 1)
    return padded[torch.arange(b, **there).view(b, 1, 1, 1), channels, rows, columns]


class Pretrainer:
    """SGD with Nesterov momentum, warm-up and cosine, as matrices/quick.toml sets it."""

    def __init__(self, classes, total_steps, warmup_steps, bf16=False, lr=0.1, device="cpu"):
        self.model, self.device_type = ResNetTiny(classes).to(device), torch.device(device).type
        if bf16:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.bf16, self.lr, self.total, self.warmup, self.steps = bf16, lr, total_steps, warmup_steps, 0
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr, 0.9, weight_decay=5e-4, nesterov=True)

    def factor(self):
        if self.steps < self.warmup:
            return (self.steps + 1) / (self.warmup + 1)
        return 0.5 * (1 + math.cos(math.pi * (self.steps - self.warmup) / (self.total - self.warmup)))

    def step(self, images, labels):
        self.optimizer.param_groups[0]["lr"] = self.lr * self.factor()
        x = normalise(shifted(images))
        if self.bf16:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device_type, torch.bfloat16, enabled=self.bf16):
            logits = self.model(x)
        loss = F.cross_entropy(logits.float(), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.steps += 1
        return loss


def pretrain(images, labels, classes, epochs, seed, batch=128, bf16=False):
    torch.manual_seed(seed)
    per_epoch = len(images) // batch
    trainer = Pretrainer(classes, epochs * per_epoch, per_epoch, bf16)
    for _ in range(epochs):
        for rows in torch.randperm(len(images))[:per_epoch * batch].split(batch):
            trainer.step(images[rows], labels[rows])
    return trainer.model.eval()
