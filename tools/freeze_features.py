#!/usr/bin/env python3
"""Writes the frozen features of one encoder over the splits of one task, and the matrix that `nmlbench run` takes.

A call is one task; calls into one folder add tasks to <encoder>.toml, which is made anew from the records (.json) beside
the features. {noise_ratio} and {seed} in --weights stand for a checkpoint of each level and seed.

  freeze_features.py --model timm/resnet50 --weights 'runs/n{noise_ratio}_s{seed}.pth' --noise symmetric \\
      --noise-ratio 0 0.1 --seed 0 1 --task cars --train cars/train --test id=cars/test --test ood:sketch=sketch -o feat

A split is a folder of class folders with images, or a .csv or .tsv file with the columns sentence and label. Labels are
numbers of the training split's classes, sorted by name. Needs NumPy, PyTorch and the library that --model names.
"""
import argparse
import csv
import hashlib
import importlib.metadata
import json
import os
import pathlib
import re
import sys

import numpy as np

IMAGES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
LIBRARIES = {"timm": "timm", "torchvision": "torchvision", "open_clip": "open_clip_torch", "transformers": "transformers"}
TRANSFORMERS_HEADS = ("classifier.", "score.", "lm_head.", "cls.", "qa_outputs.")  # of fine-tuned checkpoints


class UserError(Exception):
    """A mistake of the caller's, in one line."""


def read_split(path):
    """(items, class names) of a split, sorted: image paths or sentences [N], and the name of each one's class [N]."""
    path = pathlib.Path(path)
    if path.is_dir():
        pairs = [(str(file), folder.name) for folder in sorted(path.iterdir()) if folder.is_dir()
                 for file in sorted(folder.rglob("*")) if file.suffix.lower() in IMAGES]
    elif path.suffix in (".csv", ".tsv") and path.is_file():
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            if not {"sentence", "label"} <= set(rows.fieldnames or []):
                raise UserError(f"{path}: has no columns sentence and label")
            pairs = [(row["sentence"], row["label"]) for row in rows]
        if any(None in pair for pair in pairs):
            raise UserError(f"{path}: a row has fewer columns than the first line")
    else:
        raise UserError(f"{path}: is neither a folder of class folders nor a .csv or .tsv file")
    if not pairs:
        raise UserError(f"{path}: holds no samples; images lie in a folder for each class")
    return [item for item, _ in pairs], [name for _, name in pairs]


def labels_of(path, names, classes):
    """Labels int64 [N]: the place of each name in the training split's classes."""
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise UserError(f"{path}: {len(unknown)} classes that the training split does not have: {', '.join(unknown[:3])}")
    place = {name: i for i, name in enumerate(classes)}
    return np.array([place[name] for name in names], dtype=np.int64)


def write_whole(path, write):
    """Writes beside `path` and renames, so that a file is there whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        write(file)
    os.replace(partial, path)


def write_json(path, value):
    write_whole(path, lambda file: file.write((json.dumps(value, indent=1) + "\n").encode()))


def digest_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def digest_split(items, names):
    """Over names of classes, and the bytes of each image or sentence."""
    digest = hashlib.sha256()
    for item, name in zip(items, names):
        content = digest_file(item) if os.path.isfile(item) else item
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()


def read_weights(path):
    """The state dict of a .safetensors file or of a PyTorch checkpoint, without "module." of data parallelism."""
    if str(path).endswith(".safetensors"):
        from safetensors.torch import load_file
        state = load_file(path)
    else:
        import torch
        state = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        if isinstance(state.get(key), dict):
            state = state[key]
    return {key.removeprefix("module."): value for key, value in state.items()}


def load_weights(model, path, heads=(), prefix="", unused=()):
    """Every parameter of `model` but the `unused` comes from the file; what else it holds may only be a classifier's."""
    state = {key.removeprefix(prefix): value for key, value in read_weights(path).items()}
    own = {key: value for key, value in model.state_dict().items() if key in state or not key.startswith(tuple(unused))}
    wrong = [key for key in own if key not in state or state[key].shape != own[key].shape]
    wrong += [key for key in state if key not in own and not key.startswith(tuple(heads))]
    if wrong:
        raise UserError(f"{path}: {len(wrong)} keys do not match the model: {', '.join(wrong[:3])}")
    model.load_state_dict({key: state[key] for key in own}, strict=False)  # checked above


def open_timm(name, weights, options):
    import timm
    model = timm.create_model(name, pretrained=not weights and not options.random_init, num_classes=0)
    if weights:
        heads = model.pretrained_cfg.get("classifier") or ()
        load_weights(model, weights, [head + "." for head in ([heads] if isinstance(heads, str) else heads)])
    return model, timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)


def open_torchvision(name, weights, options):
    import torch
    import torchvision
    default = torchvision.models.get_model_weights(name).DEFAULT
    model = torchvision.models.get_model(name, weights=None if weights or options.random_init else default)
    head = [key for key, module in model.named_modules() if isinstance(module, torch.nn.Linear)][-1]
    parent, _, last = head.rpartition(".")
    setattr(model.get_submodule(parent), last, torch.nn.Identity())
    if weights:
        load_weights(model, weights, [head + ".", "aux", "AuxLogits."])
    return model, default.transforms()


def open_open_clip(name, weights, options):
    import open_clip
    name, _, tag = name.partition(":")  # ViT-B-32:laion2b_s34b_b79k
    if not (tag or weights or options.random_init):
        raise UserError(f"open_clip/{name}: names no weights; write open_clip/{name}:TAG or give --weights")
    model, _, transform = open_clip.create_model_and_transforms(name, None if weights or options.random_init else tag)
    if weights:
        load_weights(model, weights)
    model.forward = model.encode_image
    return model, transform


def open_transformers(name, weights, options):
    import transformers
    if weights or options.random_init:
        model = transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(name))
    else:
        model = transformers.AutoModel.from_pretrained(name)
    if weights:
        load_weights(model, weights, TRANSFORMERS_HEADS, model.base_model_prefix + ".", ("pooler.",))
    if options.text:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        collate = lambda texts: tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    else:
        processor = transformers.AutoImageProcessor.from_pretrained(name)
        collate = lambda images: processor(images=list(images), return_tensors="pt")
    return PooledModel(model, options.pool), collate


class PooledModel:
    """A transformers model as a function of its processor's batch: features [B, D], the first token's or the mean's."""

    def __init__(self, model, pool):
        self.model, self.pool = model, pool

    def eval(self):
        self.model.eval()
        return self

    def to(self, device):
        self.model.to(device)
        return self

    def __call__(self, batch):
        hidden = self.model(**batch).last_hidden_state
        if self.pool == "cls":
            return hidden[:, 0]
        if "attention_mask" not in batch:
            return hidden.mean(1)
        mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(1) / mask.sum(1)


def open_function(name, weights, options):
    """`file.py:function`: called with the weights' path or None, it gives (model, transform)."""
    file, _, function = name.rpartition(":")
    scope = {"__name__": "encoder", "__file__": file}
    with open(file, encoding="utf-8") as source:
        exec(compile(source.read(), file, "exec"), scope)  # the caller's own file
    if function not in scope:
        raise UserError(f"{file}: has no function {function}")
    return scope[function](weights)


def open_encoder(weights, options, ratio, seed):
    """A function from items (paths or sentences) to features float32 [N, D]."""
    import torch
    torch.manual_seed(seed * 1000003 + round((ratio or 0) * 1e6))  # of --random-init: levels differ, too
    library, _, name = options.model.partition("/")
    openers = {"timm": open_timm, "torchvision": open_torchvision, "open_clip": open_open_clip,
               "transformers": open_transformers}
    known = library in openers
    try:
        model, transform = (openers[library](name, weights, options) if known
                            else open_function(options.model, weights, options))
    except (UserError, ImportError):
        raise
    except Exception as error:  # the libraries' own: an unknown model, a file that is no checkpoint
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{options.model}: cannot be opened{' with ' + weights if weights else ''}: {reason}") from error
    model = model.eval().to(options.device)
    whole_batches = library == "transformers"

    def load(item):
        if options.text:
            return item
        from PIL import Image
        with Image.open(item) as image:
            return image.convert("RGB")

    def collate(items):
        loaded = [load(item) for item in items]
        return transform(loaded) if whole_batches else torch.stack([transform(one) for one in loaded])

    def encode(items):
        loader = torch.utils.data.DataLoader(items, options.batch_size, collate_fn=collate, num_workers=options.workers)
        with torch.no_grad():
            return np.concatenate([model(batch.to(options.device)).float().cpu().numpy() for batch in loader])
    return encode


def freeze(options, open_encoder=open_encoder):
    """Writes what is not there yet: x [N, D] and a record for each level, seed and split, y [N] for each split."""
    folder = pathlib.Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    splits = {split[0]: (*split, *read_split(split[2])) for split in options.splits}
    classes = sorted(set(splits["train"][4]))
    labels = {name: labels_of(split[2], split[4], classes) for name, split in splits.items()}
    digests = {name: digest_split(split[3], split[4]) for name, split in splits.items()}
    refuse_mixed(folder, options, digests)
    for ratio in options.noise_ratio or [None]:
        for seed in options.seed if options.by_seed else [options.seed[0]]:
            encode = None
            weights = weights_of(options, ratio, seed)
            weights_digest = digest_file(weights) if weights else None
            for name, (_, kind, path, items, _) in splits.items():
                stem = stem_of(options).format(encoder=options.encoder, noise_ratio=format(ratio or 0, "g"), seed=seed,
                                               task=options.task, split=name)
                record = {"encoder": options.encoder, "model": options.model, "weights": weights,
                          "weights_sha256": weights_digest, "random_init": options.random_init, "pool": options.pool,
                          "half": options.half, "dataset": options.dataset, "noise": options.noise,
                          "noise_ratio": ratio, "realised_rate": options.realised.get(ratio), "seeds": options.seed,
                          "seed": seed, "by_seed": options.by_seed, "task": options.task, "split": name, "kind": kind,
                          "data": str(path), "data_sha256": digests[name], "classes": classes,
                          "source_sha256": source_digest(options.model), "versions": versions(options)}
                # all levels and seeds share them; refuse_mixed() has seen that the data are the same
                write_whole(folder / f"{options.encoder}_{options.task}_{name}_y.npy",
                            lambda file: np.save(file, labels[name]))
                if is_there(folder, stem, record):
                    print(f"{folder / stem}.npy: is there, skipped")
                    continue
                encode = encode or open_encoder(weights, options, ratio, seed)
                x = np.asarray(encode(items), dtype=np.float16 if options.half else np.float32)
                if x.ndim != 2 or len(x) != len(items) or not np.isfinite(x).all():
                    raise UserError(f"{options.model}: gives features {list(x.shape)} for {len(items)} samples, or some "
                                    "that are not finite; [N, D] of finite numbers are needed (try without --half)")
                (folder / f"{stem}.json").unlink(missing_ok=True)
                write_whole(folder / f"{stem}.npy", lambda file: np.save(file, x))
                write_json(folder / f"{stem}.json", {**record, "shape": list(x.shape)})
                print(f"{folder / stem}.npy: {x.shape[0]} x {x.shape[1]}")
    return write_matrix(folder, options.encoder)


def source_digest(model):
    """Of the file that `file.py:function` names."""
    file, colon, _ = model.rpartition(":")
    return digest_file(file) if colon and os.path.isfile(file) else None


def stem_of(options):
    return ("{encoder}" + ("_n{noise_ratio}" if options.noise else "") + ("_s{seed}" if options.by_seed else "")
            + "_{task}_{split}")


def weights_of(options, ratio, seed):
    if not options.weights:
        return None
    path = options.weights.replace("{noise_ratio}", format(ratio or 0, "g")).replace("{seed}", str(seed))
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such weights file (--weights {options.weights})")
    return path


def is_there(folder, stem, record):
    """Whether the features are there, made in just this way; other features under this name are an error."""
    path = folder / f"{stem}.json"
    if not path.is_file() or not (folder / f"{stem}.npy").is_file():
        return False
    with open(path, encoding="utf-8") as file:
        old = json.load(file)
    other = [key for key in record if key not in ("weights", "data", "seeds") and old.get(key) != record[key]]
    if other:
        raise UserError(f"{path}: is of another {', '.join(other)}; remove it or choose another -o or --encoder")
    return True


def refuse_mixed(folder, options, digests):
    """All levels and seeds of a task share labels, so their data, model and pooling have to be the same."""
    for path in sorted(folder.glob(f"{options.encoder}_*.json")):
        old = json.loads(path.read_text(encoding="utf-8"))
        if (old["encoder"], old["task"]) != (options.encoder, options.task):
            continue
        now = {"data_sha256": digests.get(old["split"], old["data_sha256"]), "model": options.model,
               "pool": options.pool, "half": options.half}
        other = [key for key in now if key in old and old[key] != now[key]]
        if other:
            raise UserError(f"{path}: is of another {', '.join(other)}; remove it or choose another -o or --encoder")


def versions(options):
    """Of what computed the features, as far as it is installed."""
    found = {}
    for name in ("torch", "numpy", "pillow", LIBRARIES.get(options.model.split("/")[0], "safetensors")):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def write_matrix(folder, encoder):
    """The matrix of all records of `encoder` in `folder`; its path."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{encoder}_*.json"))]
    records = [record for record in records if record["encoder"] == encoder]
    first = records[0]
    if any(record[key] != first[key] for record in records for key in ("noise", "dataset", "by_seed", "random_init")):
        raise UserError(f"{folder}: tasks of {encoder} state other noise, dataset or seeds; choose another -o or --encoder")
    rates = {record["noise_ratio"]: record["realised_rate"] for record in records}
    seeds = sorted({seed for record in records for seed in record["seeds"]})
    quote = json.dumps
    stated = [f"encoder = {quote(encoder)}"] + ([f"dataset = {quote(first['dataset'])}"] if first["dataset"] else [])
    if first["noise"]:
        stated += [f"noise = {quote(first['noise'])}", f"noise_ratio = {sorted(rates)}"]
        if None not in rates.values():
            stated.append(f"realised_rate = {[rates[ratio] for ratio in sorted(rates)]}")
    lines = ["# RANDOM WEIGHTS (--random-init): these numbers say nothing of any trained encoder."] * first["random_init"]
    lines += ["[matrix]", f"name = {quote(encoder)}", f"seeds = {seeds}", "", "[[pretrain]]",
              'encoder = { plugin = "identity" }', f"stated = {{ {', '.join(stated)} }}"]
    for task in sorted({record["task"] for record in records}):
        lines += task_lines([record for record in records if record["task"] == task])
    lines += ["", "[[tuner]]", 'plugin = "linear-probe"', "[[tuner]]", 'plugin = "mlp"', "[[tuner]]", 'plugin = "nmtune"']
    path = folder / f"{encoder}.toml"
    write_whole(path, lambda file: file.write(("\n".join(lines) + "\n").encode()))
    return path


def task_lines(records):
    """One [[task]]; `classes` keeps heads as wide as training where a test set lacks the last classes."""
    def source(record):
        stem = stem_of(argparse.Namespace(**record)).replace("{task}", record["task"]).replace("{split}", record["split"])
        labels = f"{record['encoder']}_{record['task']}_{record['split']}_y.npy"
        return f'{{ plugin = "features", x = "{stem}.npy", y = "{labels}", classes = {len(record["classes"])} }}'

    splits = {record["split"]: record for record in records}
    lines = ["", "[[task]]", f"name = {json.dumps(records[0]['task'])}", f"train = {source(splits.pop('train'))}"]
    for name, record in splits.items():
        lines += ["[[task.test]]", f'kind = "{record["kind"]}"', f'name = "{name}"', f"data = {source(record)}"]
    return lines


def test_split(text):
    """(name, kind, path) of id=PATH or ood:NAME=PATH."""
    match = re.fullmatch(r"(id|ood)(?::([\w-]+))?=(.+)", text)
    if not match or match[2] == "train":
        raise argparse.ArgumentTypeError(f"{text} is not id=PATH or ood:NAME=PATH")
    return match[2] or match[1], match[1], match[3]


def read_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="timm/, torchvision/, open_clip/ or transformers/NAME, or file.py:function")
    parser.add_argument("--weights", help="a checkpoint; {noise_ratio} and {seed} are filled in; default: the library's own")
    parser.add_argument("--random-init", action="store_true", help="random weights, to try things")
    parser.add_argument("--encoder", help="its name in results; default: from --model")
    parser.add_argument("--dataset", help="what it was pre-trained on")
    parser.add_argument("--noise", help="the noise it was pre-trained with, e.g. symmetric; unknown without")
    parser.add_argument("--noise-ratio", type=float, nargs="+", default=[], help="levels in [0, 1]")
    parser.add_argument("--realised-rate", type=float, nargs="+", default=[], help="one for each level, if known")
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--task", required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", type=test_split, action="append", required=True, help="id=PATH or ood:NAME=PATH, repeatable")
    parser.add_argument("--pool", choices=["cls", "mean"], default="cls", help="of transformers")
    parser.add_argument("--half", action="store_true", help="float16 files")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0, help="processes that load images")
    parser.add_argument("-o", "--output", required=True)
    return checked(parser.parse_args(arguments))


def checked(options):
    """What the options leave open filled in; what contradicts itself refused."""
    options.encoder = options.encoder or re.sub(r"[^\w.-]+", "-", options.model.split("/", 1)[-1])
    options.splits = [("train", "train", options.train), *options.test]
    options.text = not os.path.isdir(options.train)
    template = options.weights or ""
    options.by_seed = "{seed}" in template or options.random_init
    options.realised = dict(zip(options.noise_ratio, options.realised_rate))
    problems = {
        "--noise and --noise-ratio go together": bool(options.noise) != bool(options.noise_ratio),
        "--weights and --random-init exclude each other": options.weights and options.random_init,
        "--realised-rate needs one rate for each --noise-ratio":
            options.realised_rate and len(options.realised_rate) != len(options.noise_ratio),
        "several --noise-ratio need {noise_ratio} in --weights, or all levels would be one encoder":
            len(options.noise_ratio) > 1 and "{noise_ratio}" not in template and not options.random_init,
        "{noise_ratio} in --weights needs --noise-ratio": "{noise_ratio}" in template and not options.noise_ratio,
        "two splits have one name; name test sets: ood:NAME=PATH":
            len({split[0] for split in options.splits}) < len(options.splits),
        "--task and --encoder take letters, digits, '.', '_' and '-'":
            not re.fullmatch(r"[\w.-]+", options.task) or not re.fullmatch(r"[\w.-]+", options.encoder),
        "--noise-ratio lies in [0, 1]": any(not 0 <= ratio <= 1 for ratio in options.noise_ratio),
        "sentences need a transformers model or a function of yours":
            options.text and options.model.split("/")[0] in ("timm", "torchvision", "open_clip"),
    }
    for problem, there in problems.items():
        if there:
            raise UserError(problem)
    return options


def status_of(program, work):
    """0, or 2 and a line on stderr for a mistake of the caller's."""
    try:
        work()
        return 0
    except (UserError, OSError) as error:
        message = str(error)
    except ImportError as error:
        message = f"{error}; install what the model needs with pip"
    print(f"{program}: {message}", file=sys.stderr)
    return 2


def main(arguments):
    return status_of("freeze_features", lambda: print(f"nmlbench run {freeze(read_options(arguments))}"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
