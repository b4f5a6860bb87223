#include "kernels/adamw.h"

#define HWY_TARGET_INCLUDE "kernels/adamw.cpp"
#include "kernels/dispatch.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef NMLBENCH_ADAMW_TILE
#define NMLBENCH_ADAMW_TILE
namespace nmlbench::kernels {

constexpr std::int64_t kTileRows = 6, kTileColumns = 64;  // of a weight matrix that share their gradient's factors

// What a tile is computed from: rows of p, m and v are `stride` apart; left [B, Rows] and right [B, kTileColumns] are
// contiguous, so that they stay in the first-level cache.
struct AdamWTile {
  float *p, *m, *v;
  std::int64_t stride;
  const float *left, *right;
  std::int64_t batch, columns;
};

}  // namespace nmlbench::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace nmlbench::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;
constexpr std::int64_t kLanes = hn::MaxLanes(Floats());
constexpr int kVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;  // 24 accumulators of 32 registers, or 12 of 16

HWY_INLINE void step_vector(float* p, float* m, float* v, Vector g, const AdamWConstants& k) {
  using K = AdamWConstants;
  const Floats d;
  const auto g1 = hn::Mul(g, hn::Set(d, 1 - K::kBeta1)), g2 = hn::Mul(hn::Mul(g, g), hn::Set(d, 1 - K::kBeta2));
  const auto first = hn::MulAdd(hn::LoadU(d, m), hn::Set(d, K::kBeta1), g1);
  const auto second = hn::MulAdd(hn::LoadU(d, v), hn::Set(d, K::kBeta2), g2);
  const auto denominator = hn::MulAdd(hn::Sqrt(second), hn::Set(d, k.inv_sqrt_c2), hn::Set(d, K::kEpsilon));
  const auto move = hn::Div(hn::Mul(first, hn::Set(d, k.size)), denominator);
  hn::StoreU(first, d, m);
  hn::StoreU(second, d, v);
  hn::StoreU(hn::MulSub(hn::LoadU(d, p), hn::Set(d, k.keep), move), d, p);
}

// The first `count` numbers only. They go through a whole vector, so that a number's step is the same at the end of a
// range as within it.
HWY_INLINE void step_first(float* p, float* m, float* v, Vector g, std::int64_t count, const AdamWConstants& k) {
  if (count >= kLanes) return step_vector(p, m, v, g, k);
  HWY_ALIGN float all[3][kLanes] = {};
  float* const arrays[] = {p, m, v};
  for (int i = 0; i < 3; ++i) std::copy_n(arrays[i], count, all[i]);
  step_vector(all[0], all[1], all[2], g, k);
  for (int i = 0; i < 3; ++i) std::copy_n(all[i], count, arrays[i]);
}

void step_range(float* p, const float* g, float* m, float* v, std::int64_t n, const AdamWConstants& k) {
  const std::int64_t whole = n / kLanes * kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes) step_vector(p + i, m + i, v + i, hn::LoadU(Floats(), g + i), k);
  if (whole == n) return;
  HWY_ALIGN float rest[kLanes] = {};
  std::copy_n(g + whole, n - whole, rest);
  step_first(p + whole, m + whole, v + whole, hn::Load(Floats(), rest), n - whole, k);
}

// Columns `from` on of a tile, as many as kVectors vectors have.
template <int Rows>
HWY_INLINE void step_columns(const AdamWTile& tile, std::int64_t from, const AdamWConstants& k) {
  const Floats d;
  Vector sum[Rows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) sum[i][j] = hn::Zero(d);
  }
  const float *left = tile.left, *right = tile.right + from;
  for (std::int64_t b = 0; b < tile.batch; ++b, left += Rows, right += kTileColumns) {
    if (b < Rows * kVectors) {  // the values and moments arrive while the products are summed
      const std::int64_t at = b / kVectors * tile.stride + from + b % kVectors * kLanes;
      for (const float* array : {tile.p, tile.m, tile.v}) hwy::Prefetch(array + at);
    }
    Vector x[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) x[j] = hn::LoadU(d, right + j * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const auto weight = hn::Set(d, left[i]);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sum[i][j] = hn::MulAdd(weight, x[j], sum[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      const std::int64_t column = from + j * kLanes, at = i * tile.stride + column;
      if (column < tile.columns) {
        step_first(tile.p + at, tile.m + at, tile.v + at, sum[i][j], tile.columns - column, k);
      }
    }
  }
}

template <int Rows>
void step_tile(const AdamWTile& tile, const AdamWConstants& k) {
  const std::int64_t end = std::min(kTileColumns, tile.columns);
  for (std::int64_t from = 0; from < end; from += kVectors * kLanes) step_columns<Rows>(tile, from, k);
}

void step_rows(const AdamWTile& tile, std::int64_t rows, const AdamWConstants& k) {
  constexpr void (*kTiles[])(const AdamWTile&, const AdamWConstants&) = {step_tile<1>, step_tile<2>, step_tile<3>,
                                                                         step_tile<4>, step_tile<5>, step_tile<6>};
  kTiles[rows - 1](tile, k);
}

}  // namespace nmlbench::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nmlbench::kernels {

HWY_EXPORT(step_range);
HWY_EXPORT(step_rows);

AdamWConstants AdamWConstants::of(std::int64_t step, float lr, float weight_decay) {
  const auto t = static_cast<double>(step);
  const double c1 = 1 - std::pow(double{kBeta1}, t), c2 = 1 - std::pow(double{kBeta2}, t);
  return {1 - lr * weight_decay, static_cast<float>(lr / c1), static_cast<float>(1 / std::sqrt(c2))};
}

void adamw_range(float* p, const float* g, float* m, float* v, std::int64_t n, const AdamWConstants& constants) {
  NMLBENCH_DISPATCH(step_range)(p, g, m, v, n, constants);
}

ProductOperand::ProductOperand(const float* right, std::int64_t batch, std::int64_t columns)
    : batch_(batch), columns_(columns) {
  const std::int64_t tiles = (columns + kTileColumns - 1) / kTileColumns;
  right_.assign(static_cast<std::size_t>(tiles * batch * kTileColumns), 0.0F);
  float* to = right_.data();
  for (std::int64_t column = 0; column < columns; column += kTileColumns) {
    const std::int64_t width = std::min(kTileColumns, columns - column);
    for (std::int64_t b = 0; b < batch; ++b, to += kTileColumns) {
      std::copy_n(right + b * columns + column, width, to);
    }
  }
}

void ProductOperand::adamw(const float* left, std::int64_t rows, float* p, float* m, float* v, std::int64_t first,
                           std::int64_t last, const AdamWConstants& constants) const {
  std::vector<float> block(static_cast<std::size_t>(batch_ * kTileRows));
  for (std::int64_t row = first; row < last; row += kTileRows) {
    const std::int64_t height = std::min(kTileRows, last - row);
    for (std::int64_t b = 0; b < batch_; ++b) std::copy_n(left + b * rows + row, height, block.data() + b * height);
    const float* right = right_.data();
    for (std::int64_t column = 0; column < columns_; column += kTileColumns, right += batch_ * kTileColumns) {
      const std::int64_t at = row * columns_ + column;
      const AdamWTile tile = {p + at, m + at, v + at, columns_, block.data(), right, batch_, columns_ - column};
      NMLBENCH_DISPATCH(step_rows)(tile, height, constants);
    }
  }
}

}  // namespace nmlbench::kernels
#endif
