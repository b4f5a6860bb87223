// Rare guests of photo collections (ten of Oxford-IIIT Pet's "JPEG" files, for one).
#include "decode.h"

#include <cstdlib>
#include <cstring>

#include <stb_image.h>

namespace nmlbench::plugins {
namespace {

// Bytes of a file; 0 behind its end.
struct Bytes {
  const std::uint8_t* data;
  std::size_t size;

  std::uint8_t at(std::size_t i) const { return i < size ? data[i] : 0; }
  std::uint32_t number(std::size_t i, int bytes) const {
    std::uint32_t value = 0;
    for (int b = bytes; b-- > 0;) value = value << 8 | at(i + static_cast<std::size_t>(b));
    return value;
  }
};

std::size_t colour_table(std::uint8_t flags) {
  return (flags & 0x80) != 0 ? std::size_t{6} << (flags & 7) : 0;
}

// Behind the blocks that begin at `at`; behind the file when their end is missing.
std::size_t skip_blocks(const Bytes& gif, std::size_t at) {
  while (at < gif.size && gif.at(at) != 0) at += 1 + gif.at(at);
  return at + 1;
}

// Decoders take the end of the file for the end of the image. False when that comes before the first frame's end.
bool gif_is_whole(const Bytes& gif) {
  std::size_t at = 13 + colour_table(gif.at(10));
  while (at < gif.size && gif.at(at) == '!') at = skip_blocks(gif, at + 2);
  if (gif.at(at) != ',') return at < gif.size;  // of another kind; the decoder says which
  return skip_blocks(gif, at + 11 + colour_table(gif.at(at + 9))) <= gif.size;
}

// Of uncompressed pixels, which is what the decoder takes; the last row needs no padding.
bool bmp_is_whole(const Bytes& bmp, std::int64_t width, std::int64_t height) {
  const std::int64_t bits = width * bmp.number(bmp.number(14, 4) == 12 ? 24 : 28, 2);
  const std::int64_t pixels = (height - 1) * ((bits + 31) / 32 * 4) + (bits + 7) / 8;
  return bmp.number(10, 4) + pixels <= static_cast<std::int64_t>(bmp.size);
}

}  // namespace

Image decode_gif_or_bmp(const std::uint8_t* data, std::size_t size, const DecodeOptions& options) {
  const bool gif = data[0] == 'G';
  const std::string kind = gif ? "GIF" : "BMP";
  const Bytes bytes{data, size};
  int width = 0, height = 0, channels = 0;
  const auto length = static_cast<int>(size);
  if (stbi_info_from_memory(data, length, &width, &height, &channels) == 0) {
    throw BrokenImage("damaged " + kind + ": " + stbi_failure_reason());
  }
  const std::int64_t rows = std::abs(std::int64_t{height});  // negative in a BMP whose first row is the top one
  check_size(width, rows, options);
  if (gif ? !gif_is_whole(bytes) : !bmp_is_whole(bytes, width, rows)) throw BrokenImage("truncated " + kind);
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, length, &width, &height, &channels, STBI_rgb_alpha), stbi_image_free);
  if (!pixels) throw BrokenImage("damaged " + kind + ": " + stbi_failure_reason());
  Image image(width, height);
  std::memcpy(image.rgbx.get(), pixels.get(), image.bytes());
  return image;
}

}  // namespace nmlbench::plugins
