// nmlbench-decode-bench SIZE FILE...: images per second of CPU time that one core decodes and resizes, one line for
// each way, as "NAME RATE". benchmarks/peers/decode.py runs it beside Pillow on the same files.
#include "datasets/images/decode.h"
#include "datasets/images/resize.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include <malloc.h>

namespace {

using namespace nmlbench::plugins;
using Bytes = std::vector<std::uint8_t>;

// The best of three rounds over files that are in memory already; CPU time, so that neighbours do not count.
double rate(const std::vector<Bytes>& files, const std::function<void(const Bytes&)>& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 3; ++round) {
    const std::clock_t begin = std::clock();
    for (const Bytes& file : files) work(file);
    best = std::min(best, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  return static_cast<double>(files.size()) / best;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s SIZE FILE...\n", argv[0]);
    return 2;
  }
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);  // as nmlbench does: freed memory stays with the process
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
  const ResizeOptions resize = {std::atoll(argv[1]), nmlbench::ResizeMode::squash, 1.0, Interpolation::bilinear};
  std::vector<Bytes> files;
  for (int i = 2; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  Bytes planes(static_cast<std::size_t>(3 * resize.size * resize.size));
  DecodeOptions full, scaled;
  scaled.at_least_px = 2 * shorter_side(resize);
  const auto decode = [](const DecodeOptions& options) {
    return [&options](const Bytes& file) { decode_image(file.data(), file.size(), options); };
  };
  const auto serve = [&](const DecodeOptions& options) {
    return [&](const Bytes& file) {
      write_planes(decode_and_resize(file.data(), file.size(), options, resize), 3, planes.data());
    };
  };
  std::printf("decode %.1f\n", rate(files, decode(full)));
  std::printf("decode+resize %.1f\n", rate(files, serve(full)));
  std::printf("scaled-decode+resize %.1f\n", rate(files, serve(scaled)));
  return 0;
}
