#include "resize.h"

#include "resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <vector>

namespace nmlbench::plugins {

VectorLevel vector_level = best_vector_level();

namespace {

double triangle(double x) {
  x = std::abs(x);
  return x < 1 ? 1 - x : 0;
}

double cubic(double x) {  // Keys, a = -0.5
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// Outputs [from, from + outputs) of an axis of `in` px brought to `out` px.
Axis make_axis(std::int64_t in, std::int64_t out, std::int64_t from, std::int64_t outputs, Interpolation kind) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double widen = std::max(scale, 1.0);
  const double support = (kind == Interpolation::bicubic ? 2.0 : 1.0) * widen;
  Axis axis;
  axis.taps = (static_cast<std::size_t>(std::ceil(support)) * 2 + 4) & ~std::size_t{3};
  axis.weight.assign(static_cast<std::size_t>(outputs) * axis.taps, 0);
  std::vector<double> values(axis.taps);
  for (std::int64_t i = 0; i < outputs; ++i) {
    const double center = (static_cast<double>(from + i) + 0.5) * scale;
    const std::int64_t begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(center - support + 0.5));
    const std::int64_t count = std::min(in, static_cast<std::int64_t>(center + support + 0.5)) - begin;
    double sum = 0;
    for (std::int64_t t = 0; t < count; ++t) {
      const double x = (static_cast<double>(t + begin) - center + 0.5) * (1.0 / widen);
      values[static_cast<std::size_t>(t)] = kind == Interpolation::bicubic ? cubic(x) : triangle(x);
      sum += values[static_cast<std::size_t>(t)];
    }
    std::int32_t* weight = axis.weight.data() + static_cast<std::size_t>(i) * axis.taps;
    for (std::int64_t t = 0; t < count; ++t) {
      double k = values[static_cast<std::size_t>(t)];
      if (sum != 0) k /= sum;
      weight[t] = static_cast<std::int32_t>((k < 0 ? -0.5 : 0.5) + k * (1 << kPrecisionBits));
    }
    axis.first.push_back(begin);
    axis.count.push_back(count);
  }
  return axis;
}

// The axis of the call before, when it is the same: images of a set tend to have one size.
class AxisMemo {
 public:
  const Axis& get(std::int64_t in, std::int64_t out, std::int64_t from, std::int64_t outputs, Interpolation kind) {
    thread_local std::uint64_t last_id = 0;
    const auto key = std::tuple(in, out, from, outputs, kind);
    if (axis_.id != 0 && key == key_) return axis_;
    axis_ = make_axis(in, out, from, outputs, kind);
    axis_.id = ++last_id;
    key_ = key;
    return axis_;
  }

 private:
  Axis axis_;
  std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, Interpolation> key_;
};

std::uint8_t clip(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

void resample_rows(const Image& in, std::int64_t first_row, const Axis& axis, Image& out) {
  for (std::int64_t y = 0; y < out.height; ++y) {
    const std::uint8_t* row = in.rgbx.get() + 4 * in.width * (first_row + y);
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

const Resampler& resampler() {
#ifdef NMLBENCH_X86_RESAMPLE
  if (vector_level == VectorLevel::avx512) return kAvx512Resampler;
  if (vector_level == VectorLevel::avx2) return kAvx2Resampler;
#endif
  return kPlainResampler;
}

Image window(const Image& in, std::int64_t left, std::int64_t top, std::int64_t width, std::int64_t height) {
  Image out(width, height);
  for (std::int64_t y = 0; y < height; ++y) {
    std::memcpy(out.rgbx.get() + 4 * width * y, in.rgbx.get() + 4 * (in.width * (top + y) + left),
                static_cast<std::size_t>(4 * width));
  }
  return out;
}

// The window (left, top, side, side) of the image brought to width x height. Only what the window needs is computed.
Image resample(const Image& in, std::int64_t width, std::int64_t height, std::int64_t left, std::int64_t top,
               std::int64_t side, Interpolation kind) {
  thread_local AxisMemo down_axis, across_axis;
  const Axis& vertical = down_axis.get(in.height, height, top, side, kind);
  const bool across = width != in.width, down = height != in.height;
  const std::int64_t first_row = down ? vertical.first.front() : top;
  const std::int64_t rows = down ? vertical.first.back() + vertical.count.back() - first_row : side;
  Image middle;
  if (across) {
    const Axis& horizontal = across_axis.get(in.width, width, left, side, kind);
    middle = Image(side, rows);
    resampler().across(in, first_row, horizontal, middle);
  } else {
    middle = window(in, left, first_row, side, rows);
  }
  if (!down) return middle;
  Image out(side, side);
  resampler().down(middle, first_row, vertical, out);
  return out;
}

// Python's round(): half to even.
std::int64_t centred(std::int64_t whole, std::int64_t part) {
  return std::llrint(static_cast<double>(whole - part) / 2.0);
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

VectorLevel best_vector_level() {
#ifdef NMLBENCH_X86_RESAMPLE
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
      __builtin_cpu_supports("avx512vbmi"))
    return VectorLevel::avx512;
  if (__builtin_cpu_supports("avx2")) return VectorLevel::avx2;
#endif
  return VectorLevel::plain;
}

std::int64_t shorter_side(const ResizeOptions& options) {
  if (options.mode == ResizeMode::squash) return options.size;
  return static_cast<std::int64_t>(std::floor(static_cast<double>(options.size) / options.crop_pct));
}

Image resize_image(Image image, const ResizeOptions& options) {
  const std::int64_t size = options.size;
  if (size == 0 || (image.width == size && image.height == size && shorter_side(options) == size)) return image;
  if (options.mode == ResizeMode::squash) return resample(image, size, size, 0, 0, size, options.interpolation);
  const std::int64_t shorter = shorter_side(options), w = image.width, h = image.height;
  const std::int64_t width = w <= h ? shorter : shorter * w / h, height = w <= h ? shorter * h / w : shorter;
  return resample(image, width, height, centred(width, size), centred(height, size), size, options.interpolation);
}

void write_planes(const Image& image, int channels, std::uint8_t* out) {
  const std::int64_t pixels = image.width * image.height;
  const std::uint8_t* in = image.rgbx.get();
  if (channels == 1) {
    for (std::int64_t i = 0; i < pixels; ++i, in += 4) {
      out[i] = static_cast<std::uint8_t>((in[0] * 19595 + in[1] * 38470 + in[2] * 7471 + 0x8000) >> 16);
    }
    return;
  }
  resampler().planes(in, pixels, out);
}

}  // namespace nmlbench::plugins
