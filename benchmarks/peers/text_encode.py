#!/usr/bin/env python3
"""Texts per second through bert-base: nmlbench beside transformers, in turns, tokenizers included.

    benchmarks/peers/text_encode.py [--pairs 5] [--threads 2] [--bench build/nmlbench_bench]    (needs transformers)

Both sides have the same 256 texts of 3 to 42 words, random weights and the vocabulary of tests/golden/text. transformers
gets them sorted by length in batches of 32, and the best of eager, torch.compile and, with bf16, autocast; ours is
`encode_texts` of nmlbench_bench. Real time and, since machines are shared, CPU time are both reported.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden/text"))
import tokens

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "other", "theatre"]
TEXTS = [" ".join(WORDS[(text * 31 + i * 17) % 10] for i in range(3 + text * 7 % 40)) for text in range(256)]


def timed(work):
    """Real and CPU seconds."""
    real, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - real, time.process_time() - cpu


def ours(program, threads, bf16):
    run = subprocess.run([program, f"--benchmark_filter=^encode_texts/bf16:{int(bf16)}/", "--benchmark_format=json",
                          "--benchmark_min_time=0.1"], check=True, capture_output=True, text=True,
                         env=dict(os.environ, OMP_WAIT_POLICY="passive", OMP_NUM_THREADS=str(threads)))
    row = json.loads(run.stdout)["benchmarks"][0]
    unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[row["time_unit"]]
    return row["real_time"] * unit, row["cpu_time"] * unit


class Peer:
    def __init__(self, compiled, bf16):
        config = transformers.BertConfig(vocab_size=420)
        self.model = transformers.BertModel(config, add_pooling_layer=False).eval()
        self.forward = torch.compile(self.model, dynamic=True) if compiled else self.model
        self.tokenizer = tokens.bert(ROOT / "tests/golden/text/vocab.txt")
        self.bf16 = bf16

    def __call__(self):
        ids = self.tokenizer(TEXTS, truncation=True, max_length=128)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            for begin in range(0, len(order), 32):
                rows = [ids[i] for i in order[begin:begin + 32]]
                longest = len(rows[-1])
                x = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
                mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
                self.forward(input_ids=x, attention_mask=mask).last_hidden_state[:, 0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bench", default=ROOT / "build/nmlbench_bench")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"transformers {transformers.__version__}, PyTorch {torch.__version__}, {options.threads} threads")
    for bf16 in (False, True):
        for compiled in (False, True):
            peer = Peer(compiled, bf16)
            peer()
            pairs = [(ours(options.bench, options.threads, bf16), timed(peer)) for _ in range(options.pairs)]
            for kind, name in enumerate(("real", "CPU")):
                mine, theirs = (statistics.median(pair[side][kind] for pair in pairs) for side in (0, 1))
                ratio = statistics.median(theirs[kind] / mine[kind] for mine, theirs in pairs)
                print(f"{'bf16' if bf16 else 'fp32'} {'compiled' if compiled else 'eager'} {name} time: ours {256 / mine:.1f} "
                      f"texts/s, transformers {256 / theirs:.1f}, median ratio {ratio:.2f} of {options.pairs} pairs", flush=True)


if __name__ == "__main__":
    main()
