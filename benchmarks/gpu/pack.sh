#!/bin/sh
# benchmarks/gpu/pack.sh BUILD OUT: packs what was built in BUILD against a PyPI PyTorch into the folder OUT: program,
# plugins, GPU tests, benchmarks, and the distribution's libraries that they need, for a machine that has none of them
# but has the same PyTorch. It is one archive, kit.tar.xz, and OUT/run, which unpacks it and is what to start there.
set -eu
cd "$(dirname "$0")/../.."
build=$1 kit=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir -p "$out/lib/nmlbench/plugins" "$out/tests" "$out/share/nmlbench" "$out/libraries" "$out/peers"
cp "$build/nmlbench" "$build/nmlbench-engine" "$build/nmlbench_bench" "$out/"
cp -r "$build/tests/test_gpu" "$build/tests/texts" "$out/tests/"
cp -P "$build"/lib/libnmlbench.so* "$out/lib/"
cp "$build"/lib/nmlbench/plugins/*.so "$out/lib/nmlbench/plugins/"
find "$out" -type f \( -name '*.so*' -o -perm -u+x \) -exec strip --strip-unneeded {} +
# Left to the other machine: the C and C++ run-time libraries, and what PyTorch brings.
find "$out" -type f -perm -u+x -exec ldd {} + | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
  grep -v -e '/torch/lib/' -e '/nvidia/' -e "$build/" -e '/libnmlbench\.' \
    -e '/lib\(c\|m\|dl\|rt\|util\|pthread\|resolv\|gcc_s\|stdc++\|gomp\)\.so' |
  while read -r library; do cp -L "$library" "$out/libraries/"; done
strip --strip-unneeded "$out"/libraries/*
cp -r matrices "$out/share/nmlbench/"
cp benchmarks/peers/nml.py benchmarks/gpu/heads.py benchmarks/gpu/pretraining.py "$out/peers/"
echo "$PWD/$build" >"$out/built-in"  # tests and benchmarks know this path; `run` makes it lead to the kit
git describe --always --dirty --abbrev=12 >"$out/revision"
rm -rf "$kit"
mkdir -p "$kit"
tar -C "$out" -c . | xz -T0 >"$kit/kit.tar.xz"
cp benchmarks/gpu/run.py "$kit/run"
du -sm "$kit" | awk '{print $2 ": " $1 " MiB"; if ($1 > 45) {print "over 45 MiB" > "/dev/stderr"; exit 1}}'
