// Makes image files in tests, with the libraries' own encoders.
#pragma once

#include <nmlbench/torch.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include <spng.h>
#include <turbojpeg.h>

namespace nmlbench::testing {

// `pixels`: rows of samples, 16-bit ones in the machine's byte order.
inline std::string png_bytes(const std::string& pixels, std::uint32_t width, std::uint32_t height, std::uint8_t type,
                             std::uint8_t depth = 8, spng_plte* palette = nullptr) {
  spng_ctx* png = spng_ctx_new(SPNG_CTX_ENCODER);
  spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
  spng_ihdr header{width, height, depth, type, 0, 0, 0};
  spng_set_ihdr(png, &header);
  if (palette != nullptr) spng_set_plte(png, palette);
  int error = spng_encode_image(png, pixels.data(), pixels.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
  std::size_t size = 0;
  void* data = error == 0 ? spng_get_png_buffer(png, &size, &error) : nullptr;
  const std::string bytes = data != nullptr ? std::string(static_cast<char*>(data), size) : std::string();
  std::free(data);
  spng_ctx_free(png);
  if (bytes.empty()) throw std::runtime_error(spng_strerror(error));
  return bytes;
}

// uint8 [H, W, 3].
inline std::string png_of(const torch::Tensor& image) {
  const torch::Tensor pixels = image.contiguous();
  return png_bytes({static_cast<const char*>(pixels.data_ptr()), pixels.nbytes()},
                   static_cast<std::uint32_t>(pixels.size(1)), static_cast<std::uint32_t>(pixels.size(0)),
                   SPNG_COLOR_TYPE_TRUECOLOR);
}

inline std::string jpeg_of(const torch::Tensor& image, int quality = 90) {
  const torch::Tensor pixels = image.contiguous();
  tjhandle handle = tjInitCompress();
  unsigned char* data = nullptr;
  unsigned long size = 0;
  tjCompress2(handle, static_cast<const unsigned char*>(pixels.data_ptr()), static_cast<int>(pixels.size(1)), 0,
              static_cast<int>(pixels.size(0)), TJPF_RGB, &data, &size, TJSAMP_420, quality, 0);
  std::string bytes(reinterpret_cast<char*>(data), size);
  tjFree(data);
  tjDestroy(handle);
  return bytes;
}

}  // namespace nmlbench::testing
