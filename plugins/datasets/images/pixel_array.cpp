#include "pixel_array.h"

#include <nmlbench/dense.h>
#include <nmlbench/error.h>

namespace nmlbench::plugins {

PixelArray::PixelArray(torch::Tensor pixels, std::string file, std::string digest)
    : pixels_(std::move(pixels)), file_(std::move(file)), digest_(std::move(digest)) {
  const bool grey = pixels_.dim() == 3;
  const bool colour = pixels_.dim() == 4 && (pixels_.size(3) == 3 || pixels_.size(3) == 1);
  if (pixels_.scalar_type() != torch::kUInt8 || !(grey || colour) || pixels_.numel() == 0) {
    throw DataError(file_ + ": images are a uint8 array [N, H, W, 3] or [N, H, W], found " +
                    c10::toString(pixels_.scalar_type()) + " " + c10::str(pixels_.sizes()));
  }
  if (grey) pixels_ = pixels_.unsqueeze(3);
  pixels_ = pixels_.expand({-1, -1, -1, 3});
}

std::string PixelArray::name(std::int64_t row) const {
  return file_ + ", row " + std::to_string(row);
}

// Strided copy by hand: called from worker threads once a row, where tensor calls would cost more than the copy.
Image PixelArray::image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const {
  const std::int64_t height = pixels_.size(1), width = pixels_.size(2);
  check_size(width, height, decode);
  const std::int64_t down = pixels_.stride(1), right = pixels_.stride(2), deep = pixels_.stride(3);
  const auto* begin = strided_data<const std::uint8_t>(pixels_) + row * pixels_.stride(0);
  Image image(width, height);
  std::uint8_t* out = image.rgbx.get();
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x, out += 4) {
      const std::uint8_t* in = begin + y * down + x * right;
      for (int c = 0; c < 3; ++c) out[c] = in[c * deep];
      out[3] = 255;
    }
  }
  return resize_image(std::move(image), resize);
}

ImageListing array_listing(const std::shared_ptr<const ImageSource>& source, const torch::Tensor& labels,
                           std::int64_t classes, const std::string& label_file) {
  const torch::Tensor y = labels.to(torch::kInt64).contiguous();
  const auto* values = dense_data<std::int64_t>(y);
  ImageListing listing;
  listing.source = source;
  listing.labels.assign(values, values + y.numel());
  std::int64_t largest = 0;
  for (std::size_t i = 0; i < listing.labels.size(); ++i) {
    const std::int64_t label = listing.labels[i];
    constexpr std::int64_t kMostClasses = 10'000'000;
    if (label < 0 || label >= (classes > 0 ? classes : kMostClasses)) {
      throw DataError(label_file + ": row " + std::to_string(i) + " has label " + std::to_string(label) +
                      ", outside [0, " + std::to_string(classes > 0 ? classes : kMostClasses) + ")");
    }
    largest = std::max(largest, label);
  }
  listing.classes = classes > 0 ? classes : largest + 1;
  return listing;
}

}  // namespace nmlbench::plugins
