#!/bin/sh
# benchmarks/gpu.sh [KIT]: on a machine with a GPU and a CUDA build of PyTorch. Installs the packages of KIT (./dev kit)
# where there is no network, builds against PyTorch's own LibTorch in build-gpu, runs the tests that need a GPU, and
# measures stacks of heads against sequential PyTorch on the same card (benchmarks/GPU.md).
set -eu
cd "$(dirname "$0")/.."
[ $# -eq 0 ] || dpkg -i "$1"/*.deb
cmake -S . -B build-gpu -G Ninja -DCMAKE_PREFIX_PATH="$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path)')"
cmake --build build-gpu -j "$(nproc)"
export OMP_WAIT_POLICY=passive
ctest --test-dir build-gpu --output-on-failure -R '^gpu\.'
for graphs in 0 1; do  # pre-training kernel by kernel and as one graph
  NMLBENCH_CUDA_GRAPHS=$graphs build-gpu/nmlbench run quick --device cuda --db "quick-$graphs.sqlite" \
    --cache-dir "build-gpu/cache-$graphs" --quiet
  build-gpu/nmlbench throughput --db "quick-$graphs.sqlite"
done
NMLBENCH_PROGRAM_DIR=build-gpu python3 benchmarks/peers/gpu.py
