// Products of a minibatch with a weight matrix: few rows, many columns. A general library packs both factors for a
// reuse that 64 rows do not give; here the weights are packed panel by panel into the second-level cache and used
// there.
#pragma once

#include <cstdint>

namespace nmlbench::kernels {

enum class Weights {
  in_by_out,  // [K, N]
  out_by_in,  // [N, K], as a layer's forward pass meets them
};

// out [B, N] = a [B, K] times the weights; contiguous float32.
struct ThinProduct {
  const float* a;
  const float* weights;
  float* out;
  std::int64_t rows, inner, columns;  // B, K, N
  Weights layout;
};

inline constexpr std::int64_t kThinColumns = 64;  // of a block of columns; blocks can be computed apart

// Columns of blocks first .. last - 1. A number is the sum over K in its order, so it depends on nothing but its row
// and its column of the weights.
void thin_product(const ThinProduct& product, std::int64_t first_block, std::int64_t last_block);

}  // namespace nmlbench::kernels
