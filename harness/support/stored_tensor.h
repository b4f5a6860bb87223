// A tensor as a file holds it, for code that knows no LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

enum class ElementType { f16, bf16, f32, f64, u8, i8, i16, i32, i64, boolean };

constexpr std::uint64_t element_bytes(ElementType type) {
  switch (type) {
    case ElementType::f64:
    case ElementType::i64:
      return 8;
    case ElementType::f32:
    case ElementType::i32:
      return 4;
    case ElementType::f16:
    case ElementType::bf16:
    case ElementType::i16:
      return 2;
    default:
      return 1;
  }
}

struct StoredTensor {
  std::string name;
  ElementType type = ElementType::f32;
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;      // in elements
  std::shared_ptr<const std::byte> data;  // of the first element, little-endian; keeps its file or buffer alive
};

// Elements of `sizes`, or nothing when that overflows or a size is negative.
inline std::optional<std::uint64_t> element_count(const std::vector<std::int64_t>& sizes) {
  std::uint64_t count = 1;
  for (const std::int64_t size : sizes) {
    if (size < 0 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(size), &count)) return std::nullopt;
  }
  return count;
}

// Of elements that lie one after another, the last dimension fastest.
inline std::vector<std::int64_t> contiguous_strides(const std::vector<std::int64_t>& sizes) {
  std::vector<std::int64_t> strides(sizes.size());
  std::int64_t stride = 1;
  for (std::size_t i = sizes.size(); i-- > 0; stride *= sizes[i]) strides[i] = stride;
  return strides;
}

}  // namespace nmlbench
