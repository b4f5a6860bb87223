// From a tensor of a file to LibTorch's.
#pragma once

#include "support/stored_tensor.h"

#include <nmlbench/dense.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <cstring>

namespace nmlbench::plugins {

inline torch::ScalarType scalar_type(ElementType type) {
  switch (type) {
    case ElementType::f16:
      return torch::kFloat16;
    case ElementType::bf16:
      return torch::kBFloat16;
    case ElementType::f32:
      return torch::kFloat32;
    case ElementType::f64:
      return torch::kFloat64;
    case ElementType::u8:
      return torch::kUInt8;
    case ElementType::i8:
      return torch::kInt8;
    case ElementType::i16:
      return torch::kInt16;
    case ElementType::i32:
      return torch::kInt32;
    case ElementType::i64:
      return torch::kInt64;
    case ElementType::boolean:
      return torch::kBool;
  }
  return torch::kFloat32;
}

// Without a copy where the bytes are aligned, as they nearly always are: it then keeps the file or buffer alive.
inline torch::Tensor tensor_of(const StoredTensor& stored) {
  const torch::ScalarType type = scalar_type(stored.type);
  const auto view = [&](const std::byte* data) {
    return torch::from_blob(
        const_cast<std::byte*>(data), stored.sizes, stored.strides, [keep = stored.data](void*) {}, torch::dtype(type));
  };
  const std::byte* data = stored.data.get();
  if (reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(type) == 0) return view(data);
  std::uint64_t span = 1;  // elements from the first to the last
  for (std::size_t i = 0; i < stored.sizes.size(); ++i) {
    if (stored.sizes[i] == 0) return torch::empty(stored.sizes, type);
    span += static_cast<std::uint64_t>(stored.sizes[i] - 1) * static_cast<std::uint64_t>(stored.strides[i]);
  }
  torch::Tensor aligned = torch::empty({static_cast<std::int64_t>(span)}, type);
  std::memcpy(dense_bytes(aligned), data, span * c10::elementSize(type));
  return aligned.as_strided(stored.sizes, stored.strides);
}

}  // namespace nmlbench::plugins
