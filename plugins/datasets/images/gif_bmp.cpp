// Rare guests of photo collections (ten of Oxford-IIIT Pet's "JPEG" files, for one).
#include "decode.h"

#include <cstring>

#include <stb_image.h>

namespace nmlbench::plugins {

Image decode_gif_or_bmp(const std::uint8_t* data, std::size_t size, const DecodeOptions& options) {
  const char* kind = data[0] == 'G' ? "GIF" : "BMP";
  int width = 0, height = 0, channels = 0;
  const auto length = static_cast<int>(size);
  if (stbi_info_from_memory(data, length, &width, &height, &channels) == 0) {
    throw BrokenImage(std::string("damaged ") + kind + ": " + stbi_failure_reason());
  }
  check_size(width, height, options);
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, length, &width, &height, &channels, STBI_rgb_alpha), stbi_image_free);
  if (!pixels) throw BrokenImage(std::string("damaged ") + kind + ": " + stbi_failure_reason());
  Image image(width, height);
  std::memcpy(image.rgbx.get(), pixels.get(), image.bytes());
  return image;
}

}  // namespace nmlbench::plugins
