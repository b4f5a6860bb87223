#include "kernels/resample.h"

#define HWY_TARGET_INCLUDE "kernels/resample.cpp"
#include "kernels/dispatch.h"

#include <algorithm>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nmlbench::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);

HWY_INLINE std::uint8_t clip(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

void across(const std::uint8_t* in, std::int64_t pitch, std::int64_t rows, const ResampleAxis& axis,
            std::uint8_t* out) {
  for (std::int64_t y = 0; y < rows; ++y, in += pitch) {
    for (std::size_t i = 0; i < axis.first.size(); ++i, out += 4) {
      const std::uint8_t* pixel = in + 4 * axis.first[i];
      const std::int32_t* weight = axis.weight.data() + axis.taps * i;
      std::int32_t sum[4] = {kHalf, kHalf, kHalf, kHalf};
      for (std::int64_t t = 0; t < axis.count[i]; ++t, pixel += 4) {
        for (int c = 0; c < 4; ++c) sum[c] += pixel[c] * weight[t];
      }
      for (int c = 0; c < 4; ++c) out[c] = clip(sum[c]);
    }
  }
}

constexpr std::int64_t kBlock = 64;  // bytes of a row whose sums stay in registers

// `width` is kBlock but at the end of a row: a constant for the compiler.
HWY_INLINE void down_block(const std::uint8_t* in, std::int64_t pitch, const std::int32_t* weight, std::int64_t count,
                           std::int64_t width, std::uint8_t* out) {
  std::int32_t sum[kBlock];
  for (std::int64_t x = 0; x < width; ++x) sum[x] = kHalf;
  for (std::int64_t t = 0; t < count; ++t, in += pitch) {
    for (std::int64_t x = 0; x < width; ++x) sum[x] += in[x] * weight[t];
  }
  for (std::int64_t x = 0; x < width; ++x) out[x] = clip(sum[x]);
}

void down(const std::uint8_t* in, std::int64_t pitch, std::int64_t first_row, const ResampleAxis& axis,
          std::uint8_t* out) {
  for (std::size_t y = 0; y < axis.first.size(); ++y, out += pitch) {
    const std::uint8_t* row = in + pitch * (axis.first[y] - first_row);
    const std::int32_t* weight = axis.weight.data() + axis.taps * y;
    const std::int64_t whole = pitch / kBlock * kBlock;
    for (std::int64_t x = 0; x < whole; x += kBlock) down_block(row + x, pitch, weight, axis.count[y], kBlock, out + x);
    down_block(row + whole, pitch, weight, axis.count[y], pitch - whole, out + whole);
  }
}

void split(const std::uint8_t* in, std::int64_t pixels, std::uint8_t* out) {
  const hn::ScalableTag<std::uint8_t> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= pixels; i += lanes) {
    hn::Vec<decltype(d)> r, g, b, x;
    hn::LoadInterleaved4(d, in + 4 * i, r, g, b, x);
    hn::StoreU(r, d, out + i);
    hn::StoreU(g, d, out + i + pixels);
    hn::StoreU(b, d, out + i + 2 * pixels);
  }
  for (; i < pixels; ++i) {
    for (int c = 0; c < 3; ++c) out[i + c * pixels] = in[4 * i + c];
  }
}

}  // namespace nmlbench::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nmlbench::kernels {

HWY_EXPORT(across);
HWY_EXPORT(down);
HWY_EXPORT(split);

void resample_across(const std::uint8_t* in, std::int64_t pitch, std::int64_t rows, const ResampleAxis& axis,
                     std::uint8_t* out) {
  NMLBENCH_DISPATCH(across)(in, pitch, rows, axis, out);
}

void resample_down(const std::uint8_t* in, std::int64_t pitch, std::int64_t first_row, const ResampleAxis& axis,
                   std::uint8_t* out) {
  NMLBENCH_DISPATCH(down)(in, pitch, first_row, axis, out);
}

void split_planes(const std::uint8_t* in, std::int64_t pixels, std::uint8_t* out) {
  NMLBENCH_DISPATCH(split)(in, pixels, out);
}

}  // namespace nmlbench::kernels
#endif
