// Decoding of JPEG, PNG, WebP, GIF and BMP files into 8-bit RGB, as Pillow's `Image.open(f).convert("RGB")` does:
// the content decides about the format, never the file's name; the EXIF orientation is ignored (as torchvision does);
// transparency is dropped, not blended; CMYK is taken as Adobe's inverted one; of animations the first frame is read.
// One difference: 16-bit grey is scaled to 8 bits, where Pillow clips it to white.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace nmlbench::plugins {

// Why an image cannot be used; without its name, which the caller knows.
class BrokenImage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline constexpr std::int64_t kLongestSide = 65535;  // px; what JPEG can express

// Pixels R, G, B, and a fourth byte without meaning; rows follow each other without gaps.
struct Image {
  Image() = default;
  Image(std::int64_t width, std::int64_t height);

  std::int64_t width = 0;
  std::int64_t height = 0;
  std::unique_ptr<std::uint8_t[]> rgbx;

  std::size_t bytes() const { return static_cast<std::size_t>(4 * width * height); }
};

struct DecodeOptions {
  std::int64_t max_pixels = 89'478'485;  // more is refused before memory is taken
  // A JPEG may come at 1/2, 1/4 or 1/8 of its size (scaled inverse DCT), as long as both sides stay at least this
  // long. 0: full size.
  std::int64_t at_least_px = 0;
};

// Throws BrokenImage: empty, unknown kind, truncated, damaged, too large.
Image decode_image(const std::uint8_t* data, std::size_t size, const DecodeOptions& options);

// Throws BrokenImage when a header promises more than the options allow, or nothing at all.
void check_size(std::int64_t width, std::int64_t height, const DecodeOptions& options);

// One format each; `data` begins with its signature.
Image decode_jpeg(const std::uint8_t* data, std::size_t size, const DecodeOptions& options);
Image decode_png(const std::uint8_t* data, std::size_t size, const DecodeOptions& options);
Image decode_webp(const std::uint8_t* data, std::size_t size, const DecodeOptions& options);
Image decode_gif_or_bmp(const std::uint8_t* data, std::size_t size, const DecodeOptions& options);

}  // namespace nmlbench::plugins
