// Parts of a network that keep float32 while the rest runs under bfloat16 autocast.
#pragma once

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace nmlbench::plugins {

// While it lives, autocast leaves the operations of this thread alone: they keep the precision of their operands.
class FullPrecision {
 public:
  FullPrecision() : guard_(c10::autocast_dispatch_keyset) {}

 private:
  c10::impl::ExcludeDispatchKeyGuard guard_;
};

}  // namespace nmlbench::plugins
