#include "resample.h"

#include <algorithm>

namespace nmlbench::plugins {
namespace {

std::uint8_t clip(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

void resample_rows(const Image& in, const Axis& axis, Image& out, RowRange rows) {
  for (std::int64_t y = rows.begin; y < rows.end; ++y) {
    const std::uint8_t* row = in.rgbx.get() + 4 * in.width * (rows.from + y - rows.begin);
    std::uint8_t* target = out.rgbx.get() + 4 * out.width * y;
    for (std::size_t i = 0; i < axis.first.size(); ++i, target += 4) {
      const std::uint8_t* pixel = row + 4 * axis.first[i];
      const std::int32_t* weight = axis.weight.data() + axis.taps * i;
      std::int32_t sum[4] = {kHalf, kHalf, kHalf, kHalf};
      for (std::int64_t t = 0; t < axis.count[i]; ++t, pixel += 4) {
        for (int c = 0; c < 4; ++c) sum[c] += pixel[c] * weight[t];
      }
      for (int c = 0; c < 4; ++c) target[c] = clip(sum[c]);
    }
  }
}

void resample_columns(const Image& in, std::int64_t first_row, const Axis& axis, Image& out) {
  const std::int64_t pitch = 4 * in.width;
  std::vector<std::int32_t> sums(static_cast<std::size_t>(pitch));
  for (std::size_t y = 0; y < axis.first.size(); ++y) {
    const std::uint8_t* row = in.rgbx.get() + pitch * (axis.first[y] - first_row);
    const std::int32_t* weight = axis.weight.data() + axis.taps * y;
    std::fill(sums.begin(), sums.end(), kHalf);
    for (std::int64_t t = 0; t < axis.count[y]; ++t, row += pitch) {
      for (std::size_t x = 0; x < sums.size(); ++x) sums[x] += row[x] * weight[t];
    }
    std::uint8_t* target = out.rgbx.get() + pitch * static_cast<std::int64_t>(y);
    for (std::size_t x = 0; x < sums.size(); ++x) target[x] = clip(sums[x]);
  }
}

}  // namespace

void split_planes(const std::uint8_t* in, std::int64_t pixels, std::uint8_t* out) {
  for (std::int64_t i = 0; i < pixels; ++i, in += 4) {
    out[i] = in[0];
    out[i + pixels] = in[1];
    out[i + 2 * pixels] = in[2];
  }
}

const Resampler kPlainResampler = {resample_rows, resample_columns, split_planes};

}  // namespace nmlbench::plugins
