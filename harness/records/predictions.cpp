#include "records/predictions.h"

#include <nmlbench/error.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <zlib.h>

namespace nmlbench {

namespace {

static_assert(std::endian::native == std::endian::little, "packed integers are little-endian");

// zlib's default level 6 saves 1 to 7 % more and takes up to twice the time.
constexpr int kLevel = 1;

constexpr const char* kDamaged = "packed predictions or labels are damaged; restore a copy of the database";

std::size_t width_of(std::int64_t classes) {
  return classes <= 0xff ? 1 : classes <= 0xffff ? 2 : 4;
}

void append(Bytes& bytes, std::uint32_t value, std::size_t width) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(&value);
  bytes.insert(bytes.end(), data, data + width);
}

std::uint32_t integer_at(const Bytes& bytes, std::size_t index, std::size_t width) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + index * width, width);
  return value;
}

Bytes compressed(const Bytes& raw) {
  uLongf size = compressBound(raw.size());
  Bytes packed(size);
  if (compress2(packed.data(), &size, raw.data(), raw.size(), kLevel) != Z_OK) throw std::bad_alloc();
  packed.resize(size);
  packed.shrink_to_fit();
  return packed;
}

Bytes decompressed(std::span<const std::uint8_t> packed, std::size_t expected) {
  constexpr std::size_t kMostPerByte = 1032;  // deflate makes no more of a byte: a false number takes no memory
  if (expected / kMostPerByte > packed.size()) throw Error(kDamaged);
  Bytes raw(expected);
  uLongf size = expected;
  if (uncompress(raw.data(), &size, packed.data(), packed.size()) != Z_OK || size != expected) {
    throw Error(kDamaged);
  }
  return raw;
}

// Rounded to the nearest, ties to even; beyond the largest finite number, that.
std::uint16_t to_binary16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16U & 0x8000U, magnitude = bits & 0x7fffffffU;
  constexpr std::uint32_t kTooLarge = 0x477ff000U, kSmallestNormal = 0x38800000U;  // 65520, 2^-14
  std::uint32_t half = 0x7bffU;
  if (magnitude < kSmallestNormal) {
    half = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(std::bit_cast<float>(magnitude), 24)));
  } else if (magnitude < kTooLarge) {
    half = (magnitude + 0xfffU + (magnitude >> 13U & 1U) - 0x38000000U) >> 13U;
  }
  return static_cast<std::uint16_t>(sign | half);
}

// NaN for what is not finite.
float from_binary16(std::uint16_t half) {
  const int exponent = half >> 10U & 0x1f, fraction = half & 0x3ff;
  if (exponent == 0x1f) return std::numeric_limits<float>::quiet_NaN();
  const auto magnitude =
      static_cast<float>(exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
  return (half & 0x8000U) != 0 ? -magnitude : magnitude;
}

}  // namespace

Bytes pack_labels(std::span<const std::int64_t> labels, std::int64_t classes) {
  Bytes raw;
  for (const std::int64_t label : labels) append(raw, static_cast<std::uint32_t>(label), width_of(classes));
  return compressed(raw);
}

std::vector<std::int32_t> unpack_labels(std::span<const std::uint8_t> packed, std::int64_t samples,
                                        std::int64_t classes) {
  const std::size_t width = width_of(classes), n = static_cast<std::size_t>(samples);
  const Bytes raw = decompressed(packed, n * width);
  std::vector<std::int32_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) {
    labels[i] = static_cast<std::int32_t>(integer_at(raw, i, width));
    if (labels[i] < 0 || labels[i] >= classes) throw Error("a kept label is none of the test set's classes");
  }
  return labels;
}

Bytes pack_predictions(std::span<const std::int64_t> labels, std::span<const std::int64_t> predicted,
                       std::span<const double> p_true, std::int64_t classes) {
  Bytes raw;
  raw.reserve(labels.size() * (width_of(classes) + 1));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    append(raw, predicted[i] == labels[i] ? 0 : 1 + static_cast<std::uint32_t>(predicted[i]), width_of(classes));
  }
  for (const double p : p_true) raw.push_back(static_cast<std::uint8_t>(std::lround(255.0 * p)));
  return compressed(raw);
}

Predictions unpack_predictions(std::span<const std::uint8_t> packed, std::span<const std::int32_t> labels,
                               std::int64_t classes) {
  const std::size_t width = width_of(classes), n = labels.size();
  const Bytes raw = decompressed(packed, n * (width + 1));
  Predictions result;
  result.predicted.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t code = integer_at(raw, i, width);
    result.predicted[i] = code == 0 ? labels[i] : static_cast<std::int32_t>(code - 1);
    if (code > static_cast<std::uint64_t>(classes)) throw Error("a kept prediction is none of the test set's classes");
  }
  result.p_true.assign(raw.end() - static_cast<std::ptrdiff_t>(n), raw.end());
  return result;
}

Bytes pack_probabilities(std::span<const float> log_p) {
  Bytes raw;
  raw.reserve(log_p.size() * sizeof(std::uint16_t));
  for (const float value : log_p) append(raw, to_binary16(value), sizeof(std::uint16_t));
  return compressed(raw);
}

std::vector<float> unpack_probabilities(std::span<const std::uint8_t> packed, std::int64_t samples,
                                        std::int64_t classes) {
  const std::size_t count = static_cast<std::size_t>(samples) * static_cast<std::size_t>(classes);
  const Bytes raw = decompressed(packed, count * sizeof(std::uint16_t));
  std::vector<float> log_p(count);
  for (std::size_t i = 0; i < count; ++i) {
    log_p[i] = from_binary16(static_cast<std::uint16_t>(integer_at(raw, i, sizeof(std::uint16_t))));
    if (!(log_p[i] <= 0.0F)) throw Error("a kept probability is none");
  }
  return log_p;
}

}  // namespace nmlbench
