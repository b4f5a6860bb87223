// How many of n things a share of them is. The share is the decimal number that somebody wrote: 0.29 of 100 are 29, and
// 0.35 of 90 are 31.5, though in binary both products are below.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace nmlbench {
namespace detail {

// n * share, raised by more than products and sums of a few decimal numbers can be off, and far less than what counts.
inline double of_decimal(double share, std::int64_t n) {
  return static_cast<double>(n) * share * (1 + 16 * std::numeric_limits<double>::epsilon());
}

}  // namespace detail

inline std::int64_t floor_of_share(double share, std::int64_t n) {
  return static_cast<std::int64_t>(detail::of_decimal(share, n));
}

// Halves go up.
inline std::int64_t round_of_share(double share, std::int64_t n) {
  return std::llround(detail::of_decimal(share, n));
}

}  // namespace nmlbench
