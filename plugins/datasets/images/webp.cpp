#include "decode.h"

#include <webp/decode.h>

namespace nmlbench::plugins {

Image decode_webp(const std::uint8_t* data, std::size_t size, const DecodeOptions& options) {
  WebPBitstreamFeatures features{};
  const VP8StatusCode header = WebPGetFeatures(data, size, &features);
  if (header == VP8_STATUS_NOT_ENOUGH_DATA) throw BrokenImage("truncated WebP");
  if (header != VP8_STATUS_OK) throw BrokenImage("damaged WebP");
  if (features.has_animation != 0) throw BrokenImage("animated WebP, which is not supported");
  check_size(features.width, features.height, options);
  Image image(features.width, features.height);
  if (WebPDecodeRGBAInto(data, size, image.rgbx.get(), image.bytes(), static_cast<int>(4 * image.width)) == nullptr) {
    throw BrokenImage("truncated or damaged WebP");
  }
  return image;
}

}  // namespace nmlbench::plugins
