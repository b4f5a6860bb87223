#include "kernels/thin_product.h"

#define HWY_TARGET_INCLUDE "kernels/thin_product.cpp"
#include "kernels/dispatch.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nmlbench::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
constexpr std::int64_t kLanes = hn::MaxLanes(Floats());
constexpr bool kManyRegisters = HWY_TARGET <= HWY_AVX3;     // 32 vector registers instead of 16
constexpr int kWide = kManyRegisters ? 4 : 2, kNarrow = 2;  // vectors in a tile's row: few columns waste less in two
constexpr int kAccumulators = kManyRegisters ? 24 : 12;

// Weights of kQuad columns at kQuad places of the inner dimension, out_by_in, to in_by_out.
#if HWY_TARGET == HWY_SCALAR
constexpr std::int64_t kQuad = 1;

HWY_INLINE void transpose_block(const float* from, std::int64_t, float* to, std::int64_t) {
  *to = *from;
}
#else
constexpr std::int64_t kQuad = 4;

HWY_INLINE void transpose_block(const float* from, std::int64_t inner, float* to, std::int64_t panel) {
  const hn::FixedTag<float, 4> four;
  const auto r0 = hn::LoadU(four, from), r1 = hn::LoadU(four, from + inner);
  const auto r2 = hn::LoadU(four, from + 2 * inner), r3 = hn::LoadU(four, from + 3 * inner);
  const auto a = hn::InterleaveLower(four, r0, r2), b = hn::InterleaveLower(four, r1, r3);
  const auto c = hn::InterleaveUpper(four, r0, r2), d = hn::InterleaveUpper(four, r1, r3);
  hn::StoreU(hn::InterleaveLower(four, a, b), four, to);
  hn::StoreU(hn::InterleaveUpper(four, a, b), four, to + panel);
  hn::StoreU(hn::InterleaveLower(four, c, d), four, to + 2 * panel);
  hn::StoreU(hn::InterleaveUpper(four, c, d), four, to + 3 * panel);
}
#endif

// `width` columns of the weights from `column` on, as [K, panel]. Behind the last column stands anything.
void pack(const ThinProduct& product, std::int64_t column, std::int64_t width, std::int64_t panel, float* to) {
  const std::int64_t inner = product.inner;
  if (product.layout == Weights::in_by_out) {
    for (std::int64_t k = 0; k < inner; ++k) {
      std::copy_n(product.weights + k * product.columns + column, width, to + k * panel);
    }
    return;
  }
  const std::int64_t whole_columns = width / kQuad * kQuad, whole_inner = inner / kQuad * kQuad;
  const float* weights = product.weights + column * inner;
  for (std::int64_t n = 0; n < whole_columns; n += kQuad) {
    for (std::int64_t k = 0; k < whole_inner; k += kQuad) {
      transpose_block(weights + n * inner + k, inner, to + k * panel + n, panel);
    }
  }
  for (std::int64_t n = 0; n < width; ++n) {
    for (std::int64_t k = n < whole_columns ? whole_inner : 0; k < inner; ++k)
      to[k * panel + n] = weights[n * inner + k];
  }
}

template <class Vector>
HWY_INLINE void store_first(Vector values, std::int64_t count, float* to) {
  if (count >= kLanes) return hn::StoreU(values, Floats(), to);
  HWY_ALIGN float all[kLanes];
  hn::Store(values, Floats(), all);
  std::copy_n(all, std::max<std::int64_t>(0, count), to);
}

template <int Rows, int Vectors>
void multiply_tile(const float* a, std::int64_t inner, const float* panel, float* out, std::int64_t stride,
                   std::int64_t width) {
  const Floats d;
  hn::Vec<Floats> sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) sum[i][j] = hn::Zero(d);
  }
  for (std::int64_t k = 0; k < inner; ++k, panel += Vectors * kLanes) {
    hn::Vec<Floats> w[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) w[j] = hn::LoadU(d, panel + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const auto x = hn::Set(d, a[i * inner + k]);
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) sum[i][j] = hn::MulAdd(x, w[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) store_first(sum[i][j], width - j * kLanes, out + i * stride + j * kLanes);
  }
}

using Tile = void (*)(const float*, std::int64_t, const float*, float*, std::int64_t, std::int64_t);

// kTiles<Vectors>[rows - 1] multiplies `rows` rows.
template <int Vectors, int... Rows>
constexpr auto make_tiles(std::integer_sequence<int, Rows...>) {
  return std::array<Tile, sizeof...(Rows)>{multiply_tile<Rows + 1, Vectors>...};
}
template <int Vectors>
constexpr auto kTiles = make_tiles<Vectors>(std::make_integer_sequence<int, kAccumulators / Vectors>());

// Up to Vectors * kLanes columns from `column` on.
template <int Vectors>
void multiply_panel(const ThinProduct& product, std::int64_t column, std::int64_t width, float* packed) {
  constexpr std::int64_t kRows = kAccumulators / Vectors;
  pack(product, column, width, Vectors * kLanes, packed);
  for (std::int64_t row = 0; row < product.rows; row += kRows) {
    const auto height = static_cast<std::size_t>(std::min(kRows, product.rows - row));
    kTiles<Vectors>[height - 1](product.a + row * product.inner, product.inner, packed,
                                product.out + row * product.columns + column, product.columns, width);
  }
}

void multiply_blocks(const ThinProduct& product, std::int64_t first_block, std::int64_t last_block) {
  const std::int64_t begin = first_block * kThinColumns, end = std::min(product.columns, last_block * kThinColumns);
  const std::int64_t panel = (end - begin <= kNarrow * kLanes ? kNarrow : kWide) * kLanes;
  const auto packed = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(product.inner * panel));
  for (std::int64_t column = begin; column < end; column += kWide * kLanes) {
    const std::int64_t width = std::min(kWide * kLanes, end - column);
    width <= kNarrow* kLanes ? multiply_panel<kNarrow>(product, column, width, packed.get())
                             : multiply_panel<kWide>(product, column, width, packed.get());
  }
}

}  // namespace nmlbench::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nmlbench::kernels {

HWY_EXPORT(multiply_blocks);

void thin_product(const ThinProduct& product, std::int64_t first_block, std::int64_t last_block) {
  NMLBENCH_DISPATCH(multiply_blocks)(product, first_block, last_block);
}

}  // namespace nmlbench::kernels
#endif
