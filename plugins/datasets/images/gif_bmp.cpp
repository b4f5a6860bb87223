// Rare guests of photo collections (ten of Oxford-IIIT Pet's "JPEG" files, for one).
#include "decode.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

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

// Counts what the LZW codes of a frame stand for, without making pixels of them.
class LzwCount {
 public:
  explicit LzwCount(int bits) : least_bits_(bits + 1), clear_(1U << bits) { reset(); }

  std::int64_t pixels() const { return pixels_; }
  bool ended() const { return ended_; }

  void add(std::uint8_t byte) {
    if (ended_) return;
    buffer_ |= std::uint32_t{byte} << buffered_;
    for (buffered_ += 8; buffered_ >= bits_ && !ended_; buffered_ -= used_) {
      used_ = bits_;
      code(buffer_ & ((1U << bits_) - 1));
      buffer_ >>= used_;
    }
  }

 private:
  static constexpr std::uint32_t kCodes = 4096;

  void reset() {
    bits_ = least_bits_;
    next_ = clear_ + 2;
    last_ = 0;
  }
  // A code is worth the pixels of an earlier one and one more.
  void code(std::uint32_t code) {
    if (code == clear_) return reset();
    ended_ = code == clear_ + 1 || code > next_;  // the latter is damage, which the decoder reports
    if (ended_) return;
    const std::int64_t length = code < clear_ ? 1 : code < next_ ? lengths_[code] : last_ + 1;
    pixels_ += length;
    if (last_ > 0 && next_ < kCodes) {
      lengths_[next_++] = last_ + 1;
      if (next_ == 1U << bits_ && bits_ < 12) ++bits_;
    }
    last_ = length;
  }

  int least_bits_, bits_ = 0, used_ = 0, buffered_ = 0;
  std::uint32_t clear_, next_ = 0, buffer_ = 0;
  std::int64_t pixels_ = 0, last_ = 0;  // last_: length of the code before; 0 after a reset
  bool ended_ = false;
  std::array<std::int64_t, kCodes> lengths_{};
};

// Pixels in the blocks at `at`, which begin with the number of bits of a pixel.
std::int64_t pixels_in(const Bytes& gif, std::size_t at) {
  const int bits = gif.at(at++);
  if (bits > 11) return 0;
  LzwCount count(bits);
  for (; at < gif.size && gif.at(at) != 0 && !count.ended(); at += 1 + gif.at(at)) {
    for (std::size_t i = 1; i <= gif.at(at); ++i) count.add(gif.at(at + i));
  }
  return count.pixels();
}

// The decoder takes the end of the file for the end of the image, and what is missing for background. False when the
// first frame's blocks have no end or hold too little.
bool gif_is_whole(const Bytes& gif) {
  std::size_t at = 13 + colour_table(gif.at(10));
  while (at < gif.size && gif.at(at) == '!') at = skip_blocks(gif, at + 2);
  if (gif.at(at) != ',') return at < gif.size;  // of another kind; the decoder says which
  const std::size_t content = at + 10 + colour_table(gif.at(at + 9));
  const std::int64_t promised = std::int64_t{gif.number(at + 5, 2)} * gif.number(at + 7, 2);
  return skip_blocks(gif, content + 1) <= gif.size && pixels_in(gif, content) >= promised;
}

// Of uncompressed pixels, which is what the decoder takes; the last row needs no padding.
bool bmp_is_whole(const Bytes& bmp, std::int64_t width, std::int64_t height) {
  const std::int64_t bits = width * bmp.number(bmp.number(14, 4) == 12 ? 24 : 28, 2);
  const std::int64_t pixels = (height - 1) * ((bits + 31) / 32 * 4) + (bits + 7) / 8;
  return bmp.number(10, 4) + pixels <= static_cast<std::int64_t>(bmp.size);
}

// A copy of a GIF whose pixels are all opaque: Pillow gives a transparent pixel the colour that the table has for it.
std::vector<std::uint8_t> opaque(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> copy(data, data + size);
  const Bytes gif{data, size};
  for (std::size_t at = 13 + colour_table(gif.at(10)); at < size && gif.at(at) == '!'; at = skip_blocks(gif, at + 2)) {
    constexpr std::uint8_t kGraphicControl = 0xF9;
    if (gif.at(at + 1) == kGraphicControl && at + 3 < size) copy[at + 3] &= 0xFE;
  }
  return copy;
}

constexpr std::uint32_t kRle8 = 1, kRle4 = 2, kBitFields = 3;

// 0 in files whose header has no such field.
std::uint32_t bmp_compression(const Bytes& bmp) {
  return bmp.number(14, 4) == 12 ? 0 : bmp.number(30, 4);
}

// Pixels of 5 or 6 bits a colour as Pillow widens them: v * 255 / 31, rounded down; the decoder repeats their bits.
void widen_as_pillow(const Bytes& bmp, Image& image) {
  if (bmp.number(14, 4) == 12 || bmp.number(28, 2) != 16) return;
  const bool six = bmp_compression(bmp) == kBitFields && bmp.number(58, 4) == 0x7E0;  // the mask of green
  for (std::int64_t i = 0; i < image.width * image.height; ++i) {
    std::uint8_t* pixel = image.rgbx.get() + 4 * i;
    for (int c = 0; c < 3; ++c) {
      const int bits = c == 1 && six ? 6 : 5, most = (1 << bits) - 1;
      pixel[c] = static_cast<std::uint8_t>((pixel[c] >> (8 - bits)) * 255 / most);
    }
  }
}

}  // namespace

Image decode_gif_or_bmp(const std::uint8_t* data, std::size_t size, const DecodeOptions& options) {
  const bool gif = data[0] == 'G';
  const std::string kind = gif ? "GIF" : "BMP";
  const Bytes bytes{data, size};
  if (const std::uint32_t packed = gif ? 0 : bmp_compression(bytes); packed == kRle8 || packed == kRle4) {
    throw BrokenImage("is a run-length encoded BMP, which is not read; save it uncompressed, or as PNG");
  }
  int width = 0, height = 0, channels = 0;
  const auto length = static_cast<int>(size);
  if (stbi_info_from_memory(data, length, &width, &height, &channels) == 0) {
    throw BrokenImage("damaged " + kind + ": " + stbi_failure_reason());
  }
  const std::int64_t rows = std::abs(std::int64_t{height});  // negative in a BMP whose first row is the top one
  check_size(width, rows, options);
  if (gif ? !gif_is_whole(bytes) : !bmp_is_whole(bytes, width, rows)) throw BrokenImage("truncated " + kind);
  const std::vector<std::uint8_t> copy = gif ? opaque(data, size) : std::vector<std::uint8_t>();
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(gif ? copy.data() : data, length, &width, &height, &channels, STBI_rgb_alpha),
      stbi_image_free);
  if (!pixels) throw BrokenImage("damaged " + kind + ": " + stbi_failure_reason());
  Image image(width, height);
  std::memcpy(image.rgbx.get(), pixels.get(), image.bytes());
  if (!gif) widen_as_pillow(bytes, image);
  return image;
}

}  // namespace nmlbench::plugins
