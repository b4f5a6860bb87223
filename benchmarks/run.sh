#!/bin/sh
# ./dev bench [--benchmark_filter=REGEX ...]: prints the table and keeps it in benchmarks/last.json.
set -eu
cd "$(dirname "$0")/.."
OMP_WAIT_POLICY=passive exec build/nmlbench_bench --benchmark_out=benchmarks/last.json --benchmark_out_format=json "$@"
