#!/bin/sh
# ./dev bench [--benchmark_filter=REGEX ...]: prints the table and keeps it in benchmarks/last.json.
# ./dev bench --peers [--pairs N] [--only TEXT]: measures against plain PyTorch in turns; benchmarks/RESULTS.md.
set -eu
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive  # for both sides: spinning threads ruin whatever runs beside them
if [ "${1:-}" = --peers ]; then
  shift
  exec /usr/bin/python3 benchmarks/peers/compare.py "$@"
fi
exec build/nmlbench_bench --benchmark_out=benchmarks/last.json --benchmark_out_format=json "$@"
