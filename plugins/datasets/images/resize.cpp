#include "resize.h"

#include "jpeg.h"
#include "kernels/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace nmlbench::plugins {

namespace {

using kernels::ResampleAxis;

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
ResampleAxis make_axis(std::int64_t in, std::int64_t out, std::int64_t from, std::int64_t outputs, Interpolation kind) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double widen = std::max(scale, 1.0);
  const double support = (kind == Interpolation::bicubic ? 2.0 : 1.0) * widen;
  ResampleAxis axis;
  axis.taps = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
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
      weight[t] = static_cast<std::int32_t>((k < 0 ? -0.5 : 0.5) + k * (1 << kernels::kPrecisionBits));
    }
    axis.first.push_back(begin);
    axis.count.push_back(count);
  }
  return axis;
}

// The axis of the call before, when it is the same: images of a set tend to have one size.
class AxisMemo {
 public:
  const ResampleAxis& get(std::int64_t in, std::int64_t out, std::int64_t from, std::int64_t outputs,
                          Interpolation kind) {
    const Key key(in, out, from, outputs, kind);
    if (key_ != key) {
      axis_ = make_axis(in, out, from, outputs, kind);
      key_ = key;
    }
    return axis_;
  }

 private:
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, Interpolation>;

  ResampleAxis axis_;
  std::optional<Key> key_;
};

// Whether an image of this size needs no resizing.
bool keeps_size(std::int64_t width, std::int64_t height, const ResizeOptions& options) {
  const std::int64_t size = options.size;
  return size == 0 || (width == size && height == size && shorter_side(options) == size);
}

// Resizes an image whose rows come from above. One at a time in each thread.
class Resizer {
 public:
  // Not for sizes that are kept.
  Resizer(std::int64_t width, std::int64_t height, const ResizeOptions& options);

  // Rows first .. first + count - 1 of the image, which stand at the top of `rows`.
  void feed(const Image& rows, std::int64_t first, std::int64_t count);
  Image finish();

 private:
  std::int64_t side_, left_ = 0, first_row_ = 0;
  const ResampleAxis* across_ = nullptr;  // null: the width stays
  const ResampleAxis* down_ = nullptr;
  Image middle_;  // [rows that `down_` needs, side]: first_row_ and what follows, brought to their width
};

Resizer::Resizer(std::int64_t width, std::int64_t height, const ResizeOptions& options) : side_(options.size) {
  std::int64_t new_width = side_, new_height = side_, top = 0;
  if (options.mode != ResizeMode::squash) {
    const std::int64_t shorter = std::min(width, height), new_shorter = shorter_side(options);
    new_width = scaled_side(width, shorter, new_shorter);
    new_height = scaled_side(height, shorter, new_shorter);
    left_ = centred(new_width, side_);
    top = centred(new_height, side_);
  }
  thread_local AxisMemo across, down;
  if (new_width != width) across_ = &across.get(width, new_width, left_, side_, options.interpolation);
  if (new_height != height) down_ = &down.get(height, new_height, top, side_, options.interpolation);
  first_row_ = down_ == nullptr ? top : down_->first.front();
  middle_ = Image(side_, down_ == nullptr ? side_ : down_->first.back() + down_->count.back() - first_row_);
}

void Resizer::feed(const Image& rows, std::int64_t first, std::int64_t count) {
  const std::int64_t begin = std::max(first, first_row_), end = std::min(first + count, first_row_ + middle_.height);
  if (begin >= end) return;
  const std::uint8_t* from = rows.rgbx.get() + 4 * rows.width * (begin - first);
  std::uint8_t* to = middle_.rgbx.get() + 4 * side_ * (begin - first_row_);
  if (across_ != nullptr) return kernels::resample_across(from, 4 * rows.width, end - begin, *across_, to);
  for (std::int64_t y = begin; y < end; ++y, from += 4 * rows.width, to += 4 * side_) {
    std::memcpy(to, from + 4 * left_, static_cast<std::size_t>(4 * side_));
  }
}

Image Resizer::finish() {
  if (down_ == nullptr) return std::move(middle_);
  Image out(side_, side_);
  kernels::resample_down(middle_.rgbx.get(), 4 * side_, first_row_, *down_, out.rgbx.get());
  return out;
}

}  // namespace

std::int64_t shorter_side(const ResizeOptions& options) {
  return nmlbench::shorter_side(options.size, options.crop_pct, options.mode);
}

Image resize_image(Image image, const ResizeOptions& options) {
  if (keeps_size(image.width, image.height, options)) return image;
  Resizer resizer(image.width, image.height, options);
  resizer.feed(image, 0, image.height);
  return resizer.finish();
}

Image resized_part(const Image& image, std::int64_t left, std::int64_t top, std::int64_t part_width,
                   std::int64_t part_height, std::int64_t width, std::int64_t height, Interpolation interpolation) {
  Image part(part_width, part_height);
  for (std::int64_t y = 0; y < part_height; ++y) {
    std::memcpy(part.rgbx.get() + 4 * part_width * y, image.rgbx.get() + 4 * (image.width * (top + y) + left),
                static_cast<std::size_t>(4 * part_width));
  }
  thread_local AxisMemo across, down;
  if (part_width != width) {
    Image wide(width, part_height);
    kernels::resample_across(part.rgbx.get(), 4 * part_width, part_height,
                             across.get(part_width, width, 0, width, interpolation), wide.rgbx.get());
    part = std::move(wide);
  }
  if (part_height == height) return part;
  Image out(width, height);
  kernels::resample_down(part.rgbx.get(), 4 * width, 0, down.get(part_height, height, 0, height, interpolation),
                         out.rgbx.get());
  return out;
}

Image decode_and_resize(const std::uint8_t* data, std::size_t size, const DecodeOptions& decode,
                        const ResizeOptions& resize) {
  if (!is_jpeg(data, size)) return resize_image(decode_image(data, size, decode), resize);
  JpegReader reader(data, size, decode);
  const std::int64_t width = reader.width(), height = reader.height();
  if (keeps_size(width, height, resize)) return reader.read_all();
  constexpr std::int64_t kStripBytes = 256 << 10, kBlock = 16;  // of rows, of which JPEG decodes some at a time
  const std::int64_t strip_rows = std::max(kBlock, kStripBytes / (4 * width) / kBlock * kBlock);
  Image strip(width, std::min(strip_rows, height));
  Resizer resizer(width, height, resize);
  for (std::int64_t first = 0; first < height; first += strip_rows) {
    const std::int64_t count = std::min(strip_rows, height - first);
    reader.read(count, strip.rgbx.get());
    resizer.feed(strip, first, count);
  }
  return resizer.finish();
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
  kernels::split_planes(in, pixels, out);
}

}  // namespace nmlbench::plugins
