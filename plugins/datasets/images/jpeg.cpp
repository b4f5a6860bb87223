#include "decode.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <turbojpeg.h>

namespace nmlbench::plugins {
namespace {

// One decompressor a thread: making one costs as much as decoding a small image. After a fatal error it is made anew,
// because TurboJPEG leaves it in the middle of the damaged file.
class Decompressor {
 public:
  ~Decompressor() { tjDestroy(handle_); }

  tjhandle get() {
    if (handle_ == nullptr) handle_ = tjInitDecompress();
    if (handle_ == nullptr) throw BrokenImage("the JPEG decoder cannot be started");
    return handle_;
  }
  [[noreturn]] void fail() {
    const std::string reason = tjGetErrorStr2(handle_);
    tjDestroy(handle_);
    handle_ = nullptr;
    throw BrokenImage("damaged JPEG: " + reason);
  }

 private:
  tjhandle handle_ = nullptr;
};

// 1, 2, 4 or 8.
int reduction(int width, int height, std::int64_t at_least_px) {
  if (at_least_px <= 0) return 1;
  int by = 8;
  while (by > 1 && std::min(width, height) / by < at_least_px) by /= 2;
  return by;
}

// libjpeg repairs what it can and warns. Pillow accepts that, except for data that end too early, and so do we.
bool ends_early(const std::uint8_t* data, std::size_t size, tjhandle handle) {
  if (std::strstr(tjGetErrorStr2(handle), "Premature end") != nullptr) return true;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  return bytes.rfind("\xFF\xD9") == std::string_view::npos;  // only the first warning has a text
}

std::uint8_t product(int a, int b) {  // a * b / 255, rounded
  const int t = a * b + 128;
  return static_cast<std::uint8_t>(((t >> 8) + t) >> 8);
}

// Adobe stores 255 - ink.
void inverted_cmyk_to_rgb(Image& image) {
  for (std::uint8_t *p = image.rgbx.get(), *end = p + image.bytes(); p < end; p += 4) {
    const int light = p[3];
    for (int c = 0; c < 3; ++c) p[c] = static_cast<std::uint8_t>(std::max(0, light - product(255 - p[c], light)));
  }
}

}  // namespace

Image decode_jpeg(const std::uint8_t* data, std::size_t size, const DecodeOptions& options) {
  thread_local Decompressor decompressor;
  tjhandle handle = decompressor.get();
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (tjDecompressHeader3(handle, data, size, &width, &height, &subsampling, &colours) != 0 &&
      tjGetErrorCode(handle) == TJERR_FATAL) {
    decompressor.fail();
  }
  if (width == 0 && height == 0) throw BrokenImage("truncated JPEG");
  check_size(width, height, options);
  const tjscalingfactor factor = {1, reduction(width, height, options.at_least_px)};
  Image image(TJSCALED(width, factor), TJSCALED(height, factor));
  const bool cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
  const int status = tjDecompress2(handle, data, size, image.rgbx.get(), static_cast<int>(image.width), 0,
                                   static_cast<int>(image.height), cmyk ? TJPF_CMYK : TJPF_RGBX, TJFLAG_LIMITSCANS);
  if (status != 0 && tjGetErrorCode(handle) == TJERR_FATAL) {
    decompressor.fail();
  }
  if (status != 0 && ends_early(data, size, handle)) throw BrokenImage("truncated JPEG");
  if (cmyk) inverted_cmyk_to_rgb(image);
  return image;
}

}  // namespace nmlbench::plugins
