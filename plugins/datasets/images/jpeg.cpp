#include "jpeg.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <string>

#include <jerror.h>
#include <jpeglib.h>

namespace nmlbench::plugins {
namespace {

constexpr int kMostScans = 500;  // a few kilobytes can ask for thousands, each as long as the whole image

// One decompressor a thread: making one costs as much as decoding a small image.
//
// libjpeg reports a fatal error by a call that may not return. It jumps back into guarded(), over frames of libjpeg's
// own and of lambdas that hold nothing.
class Decompressor {
 public:
  Decompressor() {
    info.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr common) { std::longjmp(of(common).back_, 1); };
    errors_.emit_message = [](j_common_ptr common, int level) {
      if (level < 0 && common->err->msg_code == JWRN_JPEG_EOF) of(common).ended_early_ = true;
    };
    progress_.progress_monitor = [](j_common_ptr common) {
      if (reinterpret_cast<j_decompress_ptr>(common)->input_scan_number <= kMostScans) return;
      of(common).too_many_scans_ = true;
      std::longjmp(of(common).back_, 1);
    };
    info.client_data = this;
    jpeg_create_decompress(&info);
    info.progress = &progress_;
  }
  ~Decompressor() { jpeg_destroy_decompress(&info); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // Runs `call`; what libjpeg cannot repair becomes BrokenImage.
  template <typename Call>
  void guarded(const Call& call) {
    if (setjmp(back_) != 0) {
      char reason[JMSG_LENGTH_MAX] = "too many scans";
      if (!too_many_scans_) errors_.format_message(reinterpret_cast<j_common_ptr>(&info), reason);
      jpeg_abort_decompress(&info);
      throw BrokenImage(std::string("damaged JPEG: ") + reason);
    }
    call();
  }

  // Forgets what was left in the middle of another file.
  void begin() {
    jpeg_abort_decompress(&info);
    ended_early_ = too_many_scans_ = false;
  }
  bool ended_early() const { return ended_early_; }

  jpeg_decompress_struct info{};

 private:
  static Decompressor& of(j_common_ptr common) { return *static_cast<Decompressor*>(common->client_data); }

  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf back_;
  bool ended_early_ = false, too_many_scans_ = false;
};

Decompressor& decompressor() {
  thread_local Decompressor one;
  return one;
}

// 1, 2, 4 or 8.
unsigned reduction(std::int64_t width, std::int64_t height, std::int64_t at_least_px) {
  if (at_least_px <= 0) return 1;
  unsigned by = 8;
  while (by > 1 && std::min(width, height) / by < at_least_px) by /= 2;
  return by;
}

std::uint8_t product(int a, int b) {  // a * b / 255, rounded
  const int t = a * b + 128;
  return static_cast<std::uint8_t>(((t >> 8) + t) >> 8);
}

// Adobe stores 255 - ink.
void inverted_cmyk_to_rgb(std::uint8_t* pixels, std::int64_t count) {
  for (std::uint8_t *p = pixels, *end = p + 4 * count; p < end; p += 4) {
    const int light = p[3];
    for (int c = 0; c < 3; ++c) p[c] = static_cast<std::uint8_t>(std::max(0, light - product(255 - p[c], light)));
  }
}

}  // namespace

bool is_jpeg(const std::uint8_t* data, std::size_t size) {
  return size >= 2 && data[0] == 0xFF && data[1] == 0xD8;
}

JpegReader::JpegReader(const std::uint8_t* data, std::size_t size, const DecodeOptions& options) {
  Decompressor& jpeg = decompressor();
  jpeg_decompress_struct& info = jpeg.info;
  jpeg.begin();
  jpeg.guarded([&] {
    jpeg_mem_src(&info, data, static_cast<unsigned long>(size));
    jpeg_read_header(&info, TRUE);
  });
  check_size(info.image_width, info.image_height, options);
  cmyk_ = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = cmyk_ ? JCS_CMYK : JCS_EXT_RGBX;
  info.scale_num = 1;
  info.scale_denom = reduction(info.image_width, info.image_height, options.at_least_px);
  jpeg.guarded([&] { jpeg_start_decompress(&info); });
  width_ = info.output_width;
  height_ = info.output_height;
}

JpegReader::~JpegReader() {
  jpeg_abort_decompress(&decompressor().info);
}

void JpegReader::read(std::int64_t rows, std::uint8_t* rgbx) {
  Decompressor& jpeg = decompressor();
  const std::int64_t pitch = 4 * width_;
  jpeg.guarded([&] {
    for (std::int64_t y = 0; y < rows;) {
      JSAMPROW lines[16];
      const auto some = static_cast<JDIMENSION>(std::min<std::int64_t>(std::size(lines), rows - y));
      for (JDIMENSION i = 0; i < some; ++i) lines[i] = rgbx + pitch * (y + i);
      y += jpeg_read_scanlines(&jpeg.info, lines, some);
    }
  });
  if (cmyk_) inverted_cmyk_to_rgb(rgbx, rows * width_);
  done_ += rows;
  if (done_ == height_) finish();
}

Image JpegReader::read_all() {
  Image image(width_, height_);
  read(height_, image.rgbx.get());
  return image;
}

// libjpeg repairs what it can and warns. Pillow accepts that, except for data that end too early, and so do we.
void JpegReader::finish() {
  Decompressor& jpeg = decompressor();
  jpeg.guarded([&] { jpeg_finish_decompress(&jpeg.info); });
  if (jpeg.ended_early()) throw BrokenImage("truncated JPEG");
}

Image decode_jpeg(const std::uint8_t* data, std::size_t size, const DecodeOptions& options) {
  return JpegReader(data, size, options).read_all();
}

}  // namespace nmlbench::plugins
