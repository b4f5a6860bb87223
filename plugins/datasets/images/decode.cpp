#include "decode.h"

#include "jpeg.h"

#include <cstring>
#include <string_view>

namespace nmlbench::plugins {

Image::Image(std::int64_t w, std::int64_t h)
    : width(w), height(h), rgbx(std::make_unique_for_overwrite<std::uint8_t[]>(static_cast<std::size_t>(4 * w * h))) {}

void check_size(std::int64_t width, std::int64_t height, const DecodeOptions& options) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height) + " px";
  if (width <= 0 || height <= 0) throw BrokenImage("has no pixels (" + size + ")");
  if (width > kLongestSide || height > kLongestSide) {
    throw BrokenImage("is " + size + "; no side may be above " + std::to_string(kLongestSide) + " px");
  }
  if (width * height > options.max_pixels) {
    throw BrokenImage("is " + size + ", more than max_pixels = " + std::to_string(options.max_pixels));
  }
}

Image decode_image(const std::uint8_t* data, std::size_t size, const DecodeOptions& options) {
  if (size == 0) throw BrokenImage("the file is empty");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto begins = [&](std::string_view signature) { return bytes.substr(0, signature.size()) == signature; };
  if (is_jpeg(data, size)) return decode_jpeg(data, size, options);
  if (begins("\x89PNG\r\n\x1A\n")) return decode_png(data, size, options);
  if (begins("RIFF") && bytes.substr(0, 12).substr(std::min<std::size_t>(size, 8)) == "WEBP") {
    return decode_webp(data, size, options);
  }
  if (begins("GIF8") || begins("BM")) return decode_gif_or_bmp(data, size, options);
  throw BrokenImage("is no JPEG, PNG, WebP, GIF or BMP image");
}

}  // namespace nmlbench::plugins
