// Antialiased resizing, bit for bit what Pillow's Image.resize does on 8-bit images: a horizontal, then a vertical
// pass whose filter widens with the scale, in fixed point with 22 bits after the point (src/libImaging/Resample.c).
#pragma once

#include "decode.h"
#include "support/resize_mode.h"

#include <cstdint>
#include <string>

namespace nmlbench::plugins {

enum class Interpolation { bilinear, bicubic };
struct ResizeOptions {
  std::int64_t size = 0;  // side of the result in px; 0 keeps the image as it is
  ResizeMode mode = ResizeMode::squash;
  double crop_pct = 0.875;
  Interpolation interpolation = Interpolation::bilinear;
};

// The shorter side that `options` ask the whole image to be brought to: what a decoder has to deliver at least.
std::int64_t shorter_side(const ResizeOptions& options);

Image resize_image(Image image, const ResizeOptions& options);

// The part of `image` that begins at (left, top) and is of part_width x part_height px, brought to width x height px.
Image resized_part(const Image& image, std::int64_t left, std::int64_t top, std::int64_t part_width,
                   std::int64_t part_height, std::int64_t width, std::int64_t height, Interpolation interpolation);

// Decodes and resizes; a JPEG strip by strip, so that a large photo takes no more memory than its strips and the
// result. Throws BrokenImage.
Image decode_and_resize(const std::uint8_t* data, std::size_t size, const DecodeOptions& decode,
                        const ResizeOptions& resize);

// Writes an image as planes: R, G, B (channels = 3), or luma as Pillow's convert("L") (channels = 1).
void write_planes(const Image& image, int channels, std::uint8_t* out);

}  // namespace nmlbench::plugins
