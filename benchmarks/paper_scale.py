#!/usr/bin/env python3
"""A matrix of the paper's size, of which nothing is there: ResNet-50 on ImageNet-1K and CLIP's ResNet-50 on YFCC15M with five
noise ratios each, 17 tasks on 26 data sets, 9 fractions, 10 tuners with grids. Datasets are stand-ins of the embedded
world with the real ones' numbers of classes and, to a multiple of these, of samples: planning draws no image.

usage: paper_scale.py BYTE_PAIRS [SEEDS] > paper-scale.toml      (BYTE_PAIRS: bpe_simple_vocab_16e6.txt.gz; SEEDS: 3)
       nmlbench plan paper-scale.toml --estimate --rates DB...
"""
import sys

# name: classes, samples to train on, test sets (samples; kind)
TASKS = {
    "cifar10": (10, 50000, [10000]),
    "cifar100": (100, 50000, [10000]),
    "flowers102": (102, 2040, [6149]),
    "food101": (101, 75750, [25250]),
    "oxford-pets": (37, 3680, [3669]),
    "stanford-cars": (196, 8144, [8041]),
    "fgvc-aircraft": (100, 6667, [3333]),
    "svhn": (10, 73257, [26032]),
    "dtd": (47, 3760, [1880]),
    "caltech101": (102, 3060, [6084]),
    "eurosat": (10, 21600, [5400]),
    "patch-camelyon": (2, 262144, [32768]),
    "resisc45": (45, 25200, [6300]),
    "rendered-sst2": (2, 6920, [1821]),
    "domainnet-real": (345, 120906, [52041, 20916, 22892, 14814]),
    "domainnet-sketch": (345, 48212, [20916, 52041, 22892, 14814]),
    "imagenet": (1000, 1281167, [50000, 10000, 30000, 50889, 7500, 18574, 22000, 50000]),
}
OPTIM = {
    "resnet": 'name = "lamb", lr = 0.005, weight_decay = 0.02, clip = 1.0, epochs = 300, batch_size = 2048, '
              'warmup = 5, loss = "bce", mixup = 0.1, cutmix = 1.0, repeated_augmentation = 3, augment = "crop-flip", '
              'rand_ops = 2, rand_magnitude = 21, precision = "bf16"',
    "clip": 'name = "adamw", lr = 5e-4, weight_decay = 0.1, epochs = 32, batch_size = 1024, warmup = 0.7, '
            'augment = "crop", crop_scale = [0.9, 1.0], precision = "bf16"',
}
TUNERS = """
[selection]
over = ["lr", "C", "k"]
[[tuner]]
plugin = "linear-probe"
lr = [0.1, 0.03, 0.01, 0.003, 0.001]
[[tuner]]
plugin = "mlp"
lr = [0.01, 0.003, 0.001, 0.0003]
[[tuner]]
plugin = "nmtune"
preset = "official"
lr = [0.01, 0.003, 0.001, 0.0003]
[[tuner]]
plugin = "nmtune"
preset = "paper"
lr = [0.01, 0.003, 0.001, 0.0003]
[[tuner]]
plugin = "linear-probe"
loss = "gce"
lr = [0.1, 0.03, 0.01, 0.003, 0.001]
[[tuner]]
plugin = "mlp"
loss = "sce"
lr = [0.01, 0.003, 0.001, 0.0003]
[[tuner]]
plugin = "logistic"
C = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0]
[[tuner]]
plugin = "ridge"
[[tuner]]
plugin = "knn"
k = [5, 20, 50, 200]
[[tuner]]
plugin = "ncm"
"""


def world(split, classes, samples, seed, more=""):
    per_class = max(1, round(samples / classes))
    return f'{{ plugin = "procedural", split = "{split}", classes = {classes}, per_class = {per_class}, seed = {seed}{more} }}'


def main():
    merges, seeds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    ratios = "[0.0, 0.05, 0.1, 0.2, 0.3]"
    print(f'[matrix]\nname = "paper-scale"\nseeds = {list(range(seeds))}')
    print(f'[[pretrain]]\nencoder = {{ plugin = "resnet", variant = "resnet50" }}\n'
          f'dataset = {world("pretrain", 1000, 1281167, 1)}\nvalidation = {world("validation", 1000, 50000, 1)}\n'
          f'noise = {{ plugin = "symmetric", ratio = {ratios} }}\noptim = {{ {OPTIM["resnet"]} }}')
    print(f'[[pretrain]]\nencoder = {{ plugin = "clip", variant = "RN50", merges = "{merges}" }}\n'
          f'dataset = {world("pretrain", 1000, 14829396, 2, ", captions = true")}\n'
          f'noise = {{ plugin = "caption-swap", ratio = {ratios} }}\noptim = {{ {OPTIM["clip"]} }}')
    for number, (name, (classes, train, tests)) in enumerate(TASKS.items()):
        print(f'[[task]]\nname = "{name}"\ntrain = {world("pretrain", classes, train, 10 + number)}\n'
              "fraction = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0]")
        for i, samples in enumerate(tests):
            print(f'[[task.test]]\nname = "test{i}"\nkind = "{"ood" if i else "id"}"\n'
                  f'data = {world("validation", classes, samples, 10 + number)}')
    print(TUNERS)


main()
