// JPEG files row by row, by libjpeg-turbo.
#pragma once

#include "decode.h"

#include <cstdint>

namespace nmlbench::plugins {

bool is_jpeg(const std::uint8_t* data, std::size_t size);

// One at a time in each thread. `data` has to outlive it. Methods throw BrokenImage.
class JpegReader {
 public:
  JpegReader(const std::uint8_t* data, std::size_t size, const DecodeOptions& options);
  ~JpegReader();
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  std::int64_t width() const { return width_; }
  std::int64_t height() const { return height_; }

  // The next rows, as pixels r g b x. After the last one the file is found to be whole or not.
  void read(std::int64_t rows, std::uint8_t* rgbx);
  // All rows.
  Image read_all();

 private:
  void finish();

  std::int64_t width_ = 0, height_ = 0, done_ = 0;
  bool cmyk_ = false;
};

}  // namespace nmlbench::plugins
