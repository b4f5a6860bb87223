// Parts of a network that keep float32 while the rest runs under bfloat16 autocast.
#pragma once

#include <nmlbench/torch.h>

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace nmlbench::plugins {

// While it lives, autocast leaves the operations of this thread alone: they keep the precision of their operands.
class FullPrecision {
 public:
  FullPrecision() : guard_(c10::autocast_dispatch_keyset) {}

 private:
  c10::impl::ExcludeDispatchKeyGuard guard_;
};

// x in float32 where it is in half precision under autocast: pooled features and losses should not carry its rounding
// twice.
inline torch::Tensor at_least_float(const torch::Tensor& x) {
  return x.element_size() < 4 ? x.to(torch::kFloat32) : x;
}

}  // namespace nmlbench::plugins
