// Sines and exponentials that are the same in every bit wherever they are computed, and that compilers vectorise: sums
// and products of float32 in a fixed order (the library is compiled with -ffp-contract=off). Within 2e-7 of the true
// values; exp() within 1e-5 of it, relatively, for the largest arguments.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace nmlbench::plugins::elementary {

// To the nearest integer, |x| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction.
inline float nearest(float x) {
  return (x + 0x1.8p23F) - 0x1.8p23F;
}

// sin(2 pi t), by its series in [-pi/2, pi/2].
inline float sine_of_turns(float t) {
  const float r = t - nearest(t);  // in [-1/2, 1/2]
  const float mirrored = std::copysign(0.5F, r) - r;
  const float x = 2 * std::numbers::pi_v<float> * (std::abs(r) > 0.25F ? mirrored : r);
  const float s = x * x;
  float sum = -1 / 39916800.F;  // 11!
  sum = sum * s + 1 / 362880.F;
  sum = sum * s - 1 / 5040.F;
  sum = sum * s + 1 / 120.F;
  sum = sum * s - 1 / 6.F;
  return x + x * s * sum;
}

inline float cosine_of_turns(float t) {
  return sine_of_turns(t - nearest(t) + 0.25F);
}

// 2^n times the series of e^y, |y| <= ln(2)/2. Arguments beyond +-80 count as +-80.
inline float exponential(float x) {
  const float powers = std::min(std::max(x, -80.F), 80.F) * std::numbers::log2e_v<float>;
  const float n = nearest(powers);
  const float y = (powers - n) * std::numbers::ln2_v<float>;
  float sum = 1 / 5040.F;
  sum = sum * y + 1 / 720.F;
  sum = sum * y + 1 / 120.F;
  sum = sum * y + 1 / 24.F;
  sum = sum * y + 1 / 6.F;
  sum = sum * y + 0.5F;
  sum = sum * y + 1;
  sum = sum * y + 1;
  return sum * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}

inline float sigmoid(float x) {
  return 1 / (1 + exponential(-x));
}

inline float hyperbolic_tangent(float x) {
  return 2 * sigmoid(2 * x) - 1;
}

}  // namespace nmlbench::plugins::elementary
