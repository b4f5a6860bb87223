// The memory of a tensor, for kernels that walk through it by pointer.
#pragma once

#include <nmlbench/error.h>
#include <nmlbench/torch.h>

#include <cstddef>
#include <source_location>
#include <type_traits>

namespace nmlbench {

// Throws Error naming the caller and what the tensor is instead.
[[noreturn]] NMLBENCH_EXPORT void refuse_layout(const torch::Tensor& tensor, const char* wanted,
                                                const std::source_location& caller);

// The first number of a tensor that lies on the CPU, holds numbers of type T and is contiguous in `format`. Anything
// else is a bug in the caller and an Error: a view that is not contiguous, read as if it were, gives wrong numbers
// without a word. This is the only way from a tensor to a pointer in this tree; a test looks for others.
template <typename T>
T* dense_data(const torch::Tensor& tensor, torch::MemoryFormat format = torch::MemoryFormat::Contiguous,
              const std::source_location& caller = std::source_location::current()) {
  constexpr torch::ScalarType kType = c10::CppTypeToScalarType<std::remove_const_t<T>>::value;
  if (!tensor.defined() || !tensor.is_cpu() || tensor.scalar_type() != kType || !tensor.is_contiguous(format)) {
    refuse_layout(tensor, c10::toString(kType), caller);
  }
  return tensor.data_ptr<std::remove_const_t<T>>();
}

// The first number of a tensor of any strides: for a caller that walks by stride().
template <typename T>
T* strided_data(const torch::Tensor& tensor, const std::source_location& caller = std::source_location::current()) {
  constexpr torch::ScalarType kType = c10::CppTypeToScalarType<std::remove_const_t<T>>::value;
  if (!tensor.defined() || !tensor.is_cpu() || tensor.scalar_type() != kType) {
    refuse_layout(tensor, c10::toString(kType), caller);
  }
  return tensor.data_ptr<std::remove_const_t<T>>();
}

// The bytes of a contiguous tensor of any type on the CPU: for input and output.
inline std::byte* dense_bytes(const torch::Tensor& tensor,
                              const std::source_location& caller = std::source_location::current()) {
  if (!tensor.defined() || !tensor.is_cpu() || !tensor.is_contiguous()) refuse_layout(tensor, "any", caller);
  return static_cast<std::byte*>(tensor.data_ptr());
}

}  // namespace nmlbench
