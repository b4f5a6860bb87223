// Images that end early, and names that would break a line.
#include "datasets/images/decode.h"
#include "support/datasets.h"
#include "support/images.h"
#include "support/scratch.h"

#include <nmlbench/error.h>

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace nmlbench {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i & 0xFF);
  return text;
}

// 3 x 2 px, 24 bits: rows of 9 bytes, padded to 12.
std::string bmp(const std::string& pixels, std::uint32_t width = 3, std::uint32_t height = 2) {
  return "BM" + little_endian(54 + pixels.size(), 4) + little_endian(0, 4) + little_endian(54, 4) +
         little_endian(40, 4) + little_endian(width, 4) + little_endian(height, 4) + little_endian(1, 2) +
         little_endian(24, 2) + little_endian(0, 24) + pixels;
}

// 2 x 1 px, two colours, with a comment before the image.
const std::string kGif = std::string("GIF89a") + little_endian(2, 2) + little_endian(1, 2) +
                         std::string("\x80\0\0", 3) + std::string("\0\0\0\xff\xff\xff", 6) +
                         std::string("\x21\xfe\x02hi\0", 6) + "," + little_endian(0, 4) + little_endian(2, 2) +
                         little_endian(1, 2) + std::string("\0\x02\x02\x44\x0a\0;", 7);

std::string decoded(const std::string& bytes) {
  try {
    const plugins::Image image =
        plugins::decode_image(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), {});
    return std::to_string(image.width) + " x " + std::to_string(image.height);
  } catch (const plugins::BrokenImage& error) {
    return error.what();
  }
}

TEST(HostileImages, ABmpThatEndsEarlyIsBroken) {
  EXPECT_EQ(decoded(bmp(std::string(24, 'x'))), "3 x 2");
  EXPECT_EQ(decoded(bmp(std::string(21, 'x'))), "3 x 2");  // the last row's padding
  EXPECT_EQ(decoded(bmp(std::string(20, 'x'))), "truncated BMP");
  EXPECT_EQ(decoded(bmp(std::string(24, 'x'), 9000, 9000)), "truncated BMP");
  EXPECT_EQ(decoded(bmp(std::string(24, 'x'), 3, static_cast<std::uint32_t>(-2))), "3 x 2");  // top down
  const std::string whole = bmp(std::string(21, 'x'));
  for (std::size_t length = 2; length < whole.size(); ++length) {
    EXPECT_THAT(decoded(whole.substr(0, length)), HasSubstr("BMP")) << length;
  }
}

TEST(HostileImages, AGifThatEndsEarlyIsBroken) {
  EXPECT_EQ(decoded(kGif), "2 x 1");
  EXPECT_EQ(decoded(kGif.substr(0, kGif.size() - 1)), "2 x 1");  // the trailer
  for (std::size_t length = 4; length < kGif.size() - 1; ++length) {
    EXPECT_THAT(decoded(kGif.substr(0, length)), AnyOf(HasSubstr("GIF"), HasSubstr("has no pixels"))) << length;
  }
  EXPECT_EQ(decoded(kGif.substr(0, kGif.size() - 2)), "truncated GIF");
}

TEST(HostileNames, AnErrorIsOnePrintableLine) {
  EXPECT_STREQ(Error("a\nb\t\x1b[31m\x7f").what(), "a\\nb\\t\\x1b[31m\\x7f");
  EXPECT_STREQ(Error("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d").what(), "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d");
  EXPECT_STREQ(Error("\xff \xc3( \xc0\x80 \xed\xa0\x80 \xe2\x82").what(),
               "\\xff \\xc3( \\xc0\\x80 \\xed\\xa0\\x80 \\xe2\\x82");
}

TEST(HostileImages, AGifWithTooFewPixelsIsBroken) {
  std::string taller = kGif;
  taller[8] = 2;                   // the screen, and
  taller[kGif.find(',') + 7] = 2;  // the frame: 2 x 2 px
  EXPECT_EQ(decoded(taller), "truncated GIF");
  std::string small_frame = kGif;
  small_frame[8] = 2;
  EXPECT_EQ(decoded(small_frame), "2 x 2");  // need not fill the screen
}

TEST(HostileImages, VeryLargeOnesNeedASize) {
  const testing::Scratch scratch;
  constexpr std::uint32_t kSide = 4097;
  scratch.write("a/1.png",
                testing::png_bytes(std::string(kSide * kSide, '\0'), kSide, kSide, SPNG_COLOR_TYPE_GRAYSCALE));
  const auto open = [&](std::int64_t size) {
    return testing::data_error([&] {
      testing::OpenedDataset("image-folder", {{"path", scratch.path().string()}, {"size", size}, {"cache", false}});
    });
  };
  EXPECT_THAT(open(0), HasSubstr("1.png: is 4097 x 4097 px, more than images may have that are served as they are"));
  EXPECT_EQ(open(4096), "no error");
}

TEST(HostileNames, APipeAmongShardsIsRefusedNotWaitedFor) {
  const testing::Scratch scratch;
  ASSERT_EQ(::mkfifo((scratch / "x.tar").c_str(), 0600), 0);
  EXPECT_THAT(testing::data_error([&] {
                testing::OpenedDataset("webdataset", {{"path", scratch.path().string()}, {"cache", false}});
              }),
              HasSubstr("x.tar: is no regular file"));
}

}  // namespace
}  // namespace nmlbench
