#include "decode.h"

#include <spng.h>

namespace nmlbench::plugins {
namespace {

constexpr std::size_t kLargestChunk = std::size_t{8} << 20;  // of text, profiles and the like
constexpr std::size_t kChunkMemory = std::size_t{32} << 20;  // of all of them, inflated

void check(int code) {
  if (code == SPNG_OK) return;
  const bool ended = code == SPNG_IO_EOF || code == SPNG_EOVERFLOW || code == SPNG_EIDAT_TOO_SHORT;
  throw BrokenImage(std::string(ended ? "truncated PNG: " : "damaged PNG: ") + spng_strerror(code));
}

}  // namespace

Image decode_png(const std::uint8_t* data, std::size_t size, const DecodeOptions& options) {
  const std::unique_ptr<spng_ctx, void (*)(spng_ctx*)> png(spng_ctx_new(0), spng_ctx_free);
  if (!png) throw BrokenImage("the PNG decoder cannot be started");
  check(spng_set_chunk_limits(png.get(), kLargestChunk, kChunkMemory));
  check(spng_set_png_buffer(png.get(), data, size));
  spng_ihdr header{};
  check(spng_get_ihdr(png.get(), &header));
  check_size(header.width, header.height, options);
  Image image(header.width, header.height);
  check(spng_decode_image(png.get(), image.rgbx.get(), image.bytes(), SPNG_FMT_RGBA8, 0));
  return image;
}

}  // namespace nmlbench::plugins
