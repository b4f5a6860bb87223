// Numbers for kernels to work on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace nmlbench::testing {

inline std::vector<float> normal(std::int64_t count, std::uint32_t seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> draw;
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& number : numbers) number = draw(bits);
  return numbers;
}

}  // namespace nmlbench::testing
