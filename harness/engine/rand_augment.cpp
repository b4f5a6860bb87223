#include "engine/rand_augment.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>
#include <nmlbench/error.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include <ATen/Parallel.h>

namespace nmlbench {
namespace {

using torch::Tensor;
using Byte = std::uint8_t;
using Table = std::array<Byte, 256>;
using Counts = std::array<std::int64_t, 256>;

Byte truncated(double value) {
  return value <= 0 ? 0 : value >= 255 ? 255 : static_cast<Byte>(value);
}

// Value `magnitude` of torch.linspace(0, top, 31), which is of float32.
double of_scale(double top, std::int64_t magnitude) {
  const auto end = static_cast<float>(top), step = end / static_cast<float>(kMostMagnitude);
  const bool first_half = magnitude <= kMostMagnitude / 2;
  return first_half ? step * static_cast<float>(magnitude)
                    : end - step * static_cast<float>(kMostMagnitude - magnitude);
}

// ---- geometry: Pillow's Image.transform(AFFINE, BICUBIC) ----

// Output (x, y) comes from (a x + b y + c, d x + e y + f), pixel centres at halves.
struct Affine {
  double a, b, c, d, e, f;
};

double cubic(double v1, double v2, double v3, double v4, double d) {  // Keys, a = -1
  const double p1 = v2, p2 = -v1 + v3, p3 = 2 * (v1 - v2) + v3 - v4, p4 = -v1 + v2 - v3 + v4;
  return p1 + d * (p2 + d * (p3 + d * p4));
}

// The value of a plane [h, w] at (x, y), borders repeated; black outside.
Byte sample(const Byte* plane, std::int64_t h, std::int64_t w, double x, double y) {
  if (x < 0 || y < 0 || x >= static_cast<double>(w) || y >= static_cast<double>(h)) return 0;
  const double left = std::floor(x - 0.5), top = std::floor(y - 0.5);
  const double dx = x - 0.5 - left, dy = y - 0.5 - top;
  std::array<double, 4> rows{};
  for (std::int64_t r = 0; r < 4; ++r) {
    const Byte* row = plane + w * std::clamp<std::int64_t>(static_cast<std::int64_t>(top) - 1 + r, 0, h - 1);
    const auto at = [&](std::int64_t i) -> double {
      return row[std::clamp<std::int64_t>(static_cast<std::int64_t>(left) - 1 + i, 0, w - 1)];
    };
    rows[static_cast<std::size_t>(r)] = cubic(at(0), at(1), at(2), at(3), dx);
  }
  return truncated(cubic(rows[0], rows[1], rows[2], rows[3], dy));
}

Tensor transformed(const Tensor& image, const Affine& m) {
  Tensor out = torch::empty_like(image);
  const std::int64_t c = image.size(0), h = image.size(1), w = image.size(2);
  const auto* in = dense_data<Byte>(image);
  auto* to = dense_data<Byte>(out);
  for (std::int64_t y = 0; y < h; ++y) {
    for (std::int64_t x = 0; x < w; ++x) {
      const double px = static_cast<double>(x) + 0.5, py = static_cast<double>(y) + 0.5;
      const double from_x = m.a * px + m.b * py + m.c, from_y = m.d * px + m.e * py + m.f;
      for (std::int64_t k = 0; k < c; ++k) to[(k * h + y) * w + x] = sample(in + k * h * w, h, w, from_x, from_y);
    }
  }
  return out;
}

// As Pillow's Image.rotate(degrees): counter-clockwise about the centre, its numbers rounded to 15 places.
Affine rotation(double degrees, const Tensor& image) {
  const auto rounded = [](double x) { return std::nearbyint(x * 1e15) / 1e15; };
  const double angle = std::fmod(degrees + 360.0, 360.0) * (std::numbers::pi / 180.0);
  const double cosine = rounded(std::cos(-angle)), sine = rounded(std::sin(-angle));
  const double cx = static_cast<double>(image.size(2)) / 2, cy = static_cast<double>(image.size(1)) / 2;
  return {cosine, sine, cosine * -cx + sine * -cy + cx, -sine, cosine, -sine * -cx + cosine * -cy + cy};
}

// ---- colours ----

// Luma [H, W] as Pillow's convert("L").
Tensor luma(const Tensor& image) {
  if (image.size(0) == 1) return image[0];
  const Tensor x = image.to(torch::kInt32);
  return (x[0] * 19595 + x[1] * 38470 + x[2] * 7471 + 0x8000).bitwise_right_shift(16).to(torch::kUInt8);
}

// Pillow's Image.blend(from, image, factor): float32, truncated.
Tensor blend(const Tensor& from, const Tensor& image, double factor) {
  const Tensor start = from.to(torch::kFloat32);
  return (start + (image.to(torch::kFloat32) - start) * static_cast<float>(factor)).clamp_(0, 255).to(torch::kUInt8);
}

// Pillow's ImageFilter.SMOOTH: [1 1 1; 1 5 1; 1 1 1] / 13, rounded; borders as they are.
Tensor smoothed(const Tensor& image) {
  Tensor out = image.clone();
  const std::int64_t h = image.size(1), w = image.size(2);
  if (h < 3 || w < 3) return out;
  const Tensor x = image.to(torch::kInt32);
  Tensor sum = 4 * x.slice(1, 1, h - 1).slice(2, 1, w - 1);
  for (std::int64_t dy = 0; dy < 3; ++dy) {
    for (std::int64_t dx = 0; dx < 3; ++dx) sum += x.slice(1, dy, h - 2 + dy).slice(2, dx, w - 2 + dx);
  }
  out.slice(1, 1, h - 1).slice(2, 1, w - 1).copy_((2 * sum + 13).div(26, "floor"));
  return out;
}

// Each plane through a table that `make` makes of its histogram.
template <typename Make>
Tensor through_tables(const Tensor& image, const Make& make) {
  Tensor out = torch::empty_like(image);
  const std::int64_t pixels = image.size(1) * image.size(2);
  for (std::int64_t k = 0; k < image.size(0); ++k) {
    const auto* in = dense_data<Byte>(image) + k * pixels;
    Counts counts{};
    for (std::int64_t i = 0; i < pixels; ++i) ++counts[in[i]];
    const Table table = make(counts);
    auto* to = dense_data<Byte>(out) + k * pixels;
    for (std::int64_t i = 0; i < pixels; ++i) to[i] = table[in[i]];
  }
  return out;
}

Table unchanged() {
  Table table;
  std::iota(table.begin(), table.end(), Byte{0});
  return table;
}

std::pair<int, int> range_of(const Counts& counts) {
  int low = 0, high = 255;
  while (low < 255 && counts[static_cast<std::size_t>(low)] == 0) ++low;
  while (high > 0 && counts[static_cast<std::size_t>(high)] == 0) --high;
  return {low, high};
}

Table contrast_table(const Counts& counts) {
  const auto [low, high] = range_of(counts);
  if (high <= low) return unchanged();
  const double scale = 255.0 / (high - low), offset = -low * scale;
  Table table;
  for (std::size_t i = 0; i < 256; ++i) table[i] = truncated(static_cast<double>(i) * scale + offset);
  return table;
}

Table equalizing_table(const Counts& counts) {
  const auto [low, high] = range_of(counts);
  const std::int64_t all = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  const std::int64_t step = (all - counts[static_cast<std::size_t>(high)]) / 255;
  if (high <= low || step == 0) return unchanged();
  Table table;
  std::int64_t n = step / 2;
  for (std::size_t i = 0; i < 256; n += counts[i++]) {
    table[i] = static_cast<Byte>(std::min<std::int64_t>(n / step, 255));
  }
  return table;
}

template <typename Function>
Tensor through_table(const Tensor& image, const Function& value) {
  Table table;
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = static_cast<Byte>(value(i));
  return through_tables(image, [&](const Counts&) { return table; });
}

Tensor one_grey_like(const Tensor& image) {
  const double mean = luma(image).to(torch::kFloat64).mean().item<double>();
  return torch::full_like(image, static_cast<std::int64_t>(mean + 0.5));
}

}  // namespace

Tensor apply_operation(ImageOperation operation, const Tensor& image, std::int64_t magnitude, bool negative) {
  if (magnitude < 0 || magnitude > kMostMagnitude) throw Error("the magnitude of RandAugment is 0 to 30");
  const double sign = negative ? -1 : 1;
  const double shear = std::tan(std::atan(sign * of_scale(0.3, magnitude)));
  const auto shift = [&](std::int64_t axis) {  // the image moves by whole pixels
    return std::trunc(sign * of_scale(150.0 / 331.0 * static_cast<double>(image.size(axis)), magnitude));
  };
  const double factor = 1 + sign * of_scale(0.9, magnitude);
  switch (operation) {
    case ImageOperation::identity:
      return image.clone();
    case ImageOperation::shear_x:
      return transformed(image, {1, shear, 0, 0, 1, 0});
    case ImageOperation::shear_y:
      return transformed(image, {1, 0, 0, shear, 1, 0});
    case ImageOperation::translate_x:
      return transformed(image, {1, 0, -shift(2), 0, 1, 0});
    case ImageOperation::translate_y:
      return transformed(image, {1, 0, 0, 0, 1, -shift(1)});
    case ImageOperation::rotate:
      return magnitude == 0 ? image.clone() : transformed(image, rotation(sign * of_scale(30, magnitude), image));
    case ImageOperation::brightness:
      return blend(torch::zeros_like(image), image, factor);
    case ImageOperation::colour:
      return blend(luma(image).expand_as(image), image, factor);
    case ImageOperation::contrast:
      return blend(one_grey_like(image), image, factor);
    case ImageOperation::sharpness:
      return blend(smoothed(image), image, factor);
    case ImageOperation::posterize: {
      const auto bits = 8 - static_cast<int>(std::nearbyint(static_cast<double>(magnitude) / (kMostMagnitude / 4.0)));
      return through_table(image, [&](int i) { return i & ~((1 << (8 - bits)) - 1); });
    }
    case ImageOperation::solarize: {
      const double threshold = 255 - of_scale(255, magnitude);
      return through_table(image, [&](int i) { return i < threshold ? i : 255 - i; });
    }
    case ImageOperation::auto_contrast:
      return through_tables(image, contrast_table);
    case ImageOperation::equalize:
      return through_tables(image, equalizing_table);
  }
  throw Error("bug in the harness: RandAugment has no such operation");
}

Tensor rand_augment(const Tensor& images, std::int64_t operations, std::int64_t magnitude, const Stream& draws,
                    const BatchShare& share) {
  Tensor out = images.cpu().contiguous().clone();
  at::parallel_for(0, out.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    const torch::NoGradGuard no_grad;
    for (std::int64_t i = begin; i < end; ++i) {
      const Stream own = draws.at(share.place(i));
      const Tensor which = own.at("operation").integers({operations}, kImageOperations);
      const Tensor negative = own.at("direction").integers({operations}, 2);
      Tensor image = out[i];
      for (std::int64_t k = 0; k < operations; ++k) {
        image = apply_operation(static_cast<ImageOperation>(which[k].item<std::int64_t>()), image, magnitude,
                                negative[k].item<std::int64_t>() == 1);
      }
      out[i].copy_(image);
    }
  });
  return send(out, images.device());
}

}  // namespace nmlbench
