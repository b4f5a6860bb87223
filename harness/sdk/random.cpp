#include <nmlbench/dense.h>
#include <nmlbench/random.h>

#include <cmath>
#include <numbers>
#include <numeric>
#include <string>

#include <ATen/core/PhiloxRNGEngine.h>

namespace nmlbench {
namespace {

// Finaliser of MurmurHash3 / splitmix64: every input bit reaches every output bit.
std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// FNV-1a over the purpose, mixed with the parent's key.
std::uint64_t child_key(std::uint64_t parent, std::string_view purpose) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (const unsigned char c : purpose) h = (h ^ c) * 0x100000001b3ULL;
  return mix(mix(parent + 0x9e3779b97f4a7c15ULL) ^ h);
}

// 24 random bits as a float in [0, 1).
float unit_float(at::philox_engine& engine) {
  return static_cast<float>(engine() >> 8) * 0x1p-24f;
}

std::uint64_t bits64(at::philox_engine& engine) {
  const std::uint64_t high = engine();
  return (high << 32) | engine();
}

// Lemire 2019: unbiased integers below a bound.
std::int64_t below(at::philox_engine& engine, std::uint64_t bound) {
  unsigned __int128 product = static_cast<unsigned __int128>(bits64(engine)) * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t threshold = (0 - bound) % bound;
    while (static_cast<std::uint64_t>(product) < threshold) {
      product = static_cast<unsigned __int128>(bits64(engine)) * bound;
    }
  }
  return static_cast<std::int64_t>(product >> 64);
}

}  // namespace

Stream::Stream(std::uint64_t seed) : key_(mix(seed + 0x9e3779b97f4a7c15ULL)) {}

Stream Stream::at(std::string_view purpose) const {
  Stream child(0);
  child.key_ = child_key(key_, purpose);
  return child;
}

Stream Stream::at(std::int64_t index) const {
  return at(std::string("#").append(std::to_string(index)));
}

torch::Tensor Stream::uniform(torch::IntArrayRef sizes, double low, double high) const {
  torch::Tensor out = torch::empty(sizes, torch::kFloat32);
  at::philox_engine engine(key_);
  float* values = dense_data<float>(out);
  const auto scale = static_cast<float>(high - low);
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    // Rounding of low + scale * u can reach `high`; the interval stays half open.
    const float value = static_cast<float>(low) + scale * unit_float(engine);
    values[i] = value < high ? value : static_cast<float>(low);
  }
  return out;
}

torch::Tensor Stream::normal(torch::IntArrayRef sizes, double mean, double deviation) const {
  torch::Tensor out = torch::empty(sizes, torch::kFloat32);
  at::philox_engine engine(key_);
  float* values = dense_data<float>(out);
  const std::int64_t n = out.numel();
  // Box-Muller: two uniforms give two normals. 1 - u keeps the logarithm's argument off zero.
  for (std::int64_t i = 0; i < n; i += 2) {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(unit_float(engine))));
    const double angle = 2.0 * std::numbers::pi * unit_float(engine);
    values[i] = static_cast<float>(mean + deviation * radius * std::cos(angle));
    if (i + 1 < n) values[i + 1] = static_cast<float>(mean + deviation * radius * std::sin(angle));
  }
  return out;
}

torch::Tensor Stream::integers(torch::IntArrayRef sizes, std::int64_t bound) const {
  if (bound < 1) throw Error("Stream::integers needs a bound of at least 1, got " + std::to_string(bound));
  torch::Tensor out = torch::empty(sizes, torch::kInt64);
  at::philox_engine engine(key_);
  std::int64_t* values = dense_data<std::int64_t>(out);
  for (std::int64_t i = 0; i < out.numel(); ++i) values[i] = below(engine, static_cast<std::uint64_t>(bound));
  return out;
}

torch::Tensor Stream::permutation(std::int64_t n) const {
  torch::Tensor out = torch::empty({n}, torch::kInt64);
  std::int64_t* values = dense_data<std::int64_t>(out);
  std::iota(values, values + n, std::int64_t{0});
  at::philox_engine engine(key_);
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::swap(values[i], values[below(engine, static_cast<std::uint64_t>(i) + 1)]);
  }
  return out;
}

double Stream::uniform() const {
  at::philox_engine engine(key_);
  return static_cast<double>(bits64(engine) >> 11) * 0x1p-53;
}

}  // namespace nmlbench
