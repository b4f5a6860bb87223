// Decoding and resizing: against Pillow's own results, closed forms, and files that lie.
#include "datasets/images/decode.h"

#include "datasets/images/resize.h"
#include "support/cpu_levels.h"
#include "support/images.h"
#include "support/pillow.h"
#include "support/scratch.h"
#include "support/shared_data.h"
#include "support/words.h"

#include <nmlbench/dataset.h>
#include <nmlbench/random.h>

#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

namespace nmlbench::plugins {
namespace {

using nmlbench::testing::jpeg_of;
using nmlbench::testing::png_bytes;
using nmlbench::testing::png_of;
using nmlbench::testing::read_text;
using nmlbench::testing::Scratch;
using ::testing::HasSubstr;
using torch::Tensor;

using testing::kShared;

Image decode(const std::string& bytes, DecodeOptions options = {}) {
  return decode_image(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), options);
}

std::string failure(const std::string& bytes, DecodeOptions options = {}) {
  try {
    decode(bytes, options);
  } catch (const BrokenImage& error) {
    return error.what();
  }
  return "no error";
}

// uint8 [C, H, W]
Tensor planes(const Image& image, int channels = 3) {
  Tensor out = torch::empty({channels, image.height, image.width}, torch::kUInt8);
  write_planes(image, channels, out.data_ptr<std::uint8_t>());
  return out;
}

Tensor noise(std::uint64_t seed, std::int64_t height, std::int64_t width) {
  return Stream(seed).integers({height, width, 3}, 256).to(torch::kUInt8);
}

std::uint32_t crc(const Tensor& tensor) {
  return static_cast<std::uint32_t>(
      ::crc32(0, static_cast<const Bytef*>(tensor.data_ptr()), static_cast<uInt>(tensor.nbytes())));
}

void unpack(const std::filesystem::path& archive, const Scratch& scratch) {
  const std::string command = "tar -xf '" + archive.string() + "' -C '" + scratch.path().string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
}

TEST(Decode, PngComesBackByteForByte) {
  const Tensor image = noise(1, 7, 5);
  EXPECT_TRUE(torch::equal(planes(decode(png_of(image))), image.permute({2, 0, 1})));
}

TEST(Decode, ColourModesBecomeRgb) {
  const std::string grey = png_bytes(std::string("\x10\xf0", 2), 2, 1, SPNG_COLOR_TYPE_GRAYSCALE);
  EXPECT_TRUE(torch::equal(planes(decode(grey)).view({3, 2}), torch::tensor({{16, 240}, {16, 240}, {16, 240}})));
  const std::string with_alpha =
      png_bytes(std::string("\x01\x02\x03\x00\x04\x05\x06\x80", 8), 2, 1, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA);
  EXPECT_TRUE(torch::equal(planes(decode(with_alpha)).view({3, 2}), torch::tensor({{1, 4}, {2, 5}, {3, 6}})));
  spng_plte palette{2, {{9, 8, 7, 0}, {200, 100, 50, 0}}};
  const std::string indexed = png_bytes(std::string("\x01\x00", 2), 2, 1, SPNG_COLOR_TYPE_INDEXED, 8, &palette);
  EXPECT_TRUE(torch::equal(planes(decode(indexed)).view({3, 2}), torch::tensor({{200, 9}, {100, 8}, {50, 7}})));
  const std::string deep = png_bytes(std::string("\xcd\xab\xff\x00", 4), 2, 1, SPNG_COLOR_TYPE_GRAYSCALE, 16);
  EXPECT_TRUE(torch::equal(planes(decode(deep), 1).view({2}), torch::tensor({0xab, 0})));
}

TEST(Decode, LumaIsPillows) {
  const std::string png =
      png_of(torch::tensor({{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {10, 200, 77}}}).to(torch::kUInt8));
  EXPECT_TRUE(torch::equal(planes(decode(png), 1).view({4}), torch::tensor({76, 150, 29, 129})));
}

// The colours are those of Pillow 9.4's convert("RGB").
TEST(Decode, TransparentGifsKeepTheColoursOfTheirTable) {
  const std::string gif(
      "GIF89a\3\0\2\0\x81\0\0\x0a\x14\x1e\xc8\x64\x32\1\2\3\xff\xfe\xfd!\xf9\4\1\0\0\1\0,\0\0\0\0\3\0\2\0\0\2\5\4"
      "\x43\x71\x0c\x51\0;",
      52);
  EXPECT_TRUE(
      torch::equal(planes(decode(gif)).view({3, 6}),
                   torch::tensor({{10, 200, 1, 255, 200, 10}, {20, 100, 2, 254, 100, 20}, {30, 50, 3, 253, 50, 30}})));
}

TEST(Decode, SixteenBitBmpsAreWidenedAsByPillow) {
  std::string bmp(74, '\0');
  const auto put = [&](std::size_t at, std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bmp[at + static_cast<std::size_t>(i)] = static_cast<char>(value >> (8 * i));
  };
  bmp.replace(0, 2, "BM");
  for (const auto& [at, value] : std::vector<std::pair<std::size_t, std::uint32_t>>{
           {2, 74}, {10, 66}, {14, 40}, {18, 4}, {22, 1}, {30, 3}, {54, 0xF800}, {58, 0x7E0}, {62, 0x1F}}) {
    put(at, value, 4);
  }
  put(26, 1, 2);
  put(28, 16, 2);
  const std::vector<std::uint32_t> pixels = {0x0821, 0x64b9, 0xffff, 0x52c2};
  for (std::size_t i = 0; i < 4; ++i) put(66 + 2 * i, pixels[i], 2);
  EXPECT_TRUE(torch::equal(planes(decode(bmp)).view({3, 4}),
                           torch::tensor({{8, 98, 255, 82}, {4, 149, 255, 89}, {8, 205, 255, 16}})));
  put(30, 1, 4);
  EXPECT_THAT(failure(bmp), HasSubstr("run-length encoded BMP"));
}

TEST(Decode, ExtremeShapes) {
  EXPECT_EQ(decode(png_of(noise(2, 1, 1))).width, 1);
  const Image wide = decode(jpeg_of(noise(3, 2, 20000)));
  EXPECT_EQ(wide.width, 20000);
  for (const ResizeMode mode : {ResizeMode::squash, ResizeMode::crop}) {
    const Image small = resize_image(decode(jpeg_of(noise(3, 1, 20000))), {32, mode, 0.875, Interpolation::bicubic});
    EXPECT_EQ(small.width, 32);
    EXPECT_EQ(small.height, 32);
  }
}

TEST(Decode, BombsAreRefusedBeforeMemoryIsTaken) {
  std::string bomb = png_of(noise(4, 1, 1));
  bomb[16] = bomb[20] = 0;
  bomb[17] = bomb[21] = 0;
  bomb[18] = bomb[22] = '\xff';  // 65281 x 65281, the checksum repaired
  const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(bomb.data() + 12), 17);
  for (int i = 0; i < 4; ++i) bomb[29 + i] = static_cast<char>(sum >> (24 - 8 * i) & 0xFF);
  EXPECT_THAT(failure(bomb), HasSubstr("more than max_pixels = 89478485"));
  DecodeOptions few;
  few.max_pixels = 99;
  EXPECT_THAT(failure(jpeg_of(noise(4, 10, 10)), few), HasSubstr("10 x 10 px, more than max_pixels = 99"));
}

TEST(Decode, WhatIsNoImageIsNamed) {
  EXPECT_EQ(failure(""), "the file is empty");
  EXPECT_THAT(failure("hello"), HasSubstr("no JPEG, PNG, WebP, GIF or BMP"));
  EXPECT_THAT(failure("\xff\xd8"), HasSubstr("JPEG"));
  EXPECT_THAT(failure("RIFF\x04\x00\x00\x00WEBP"), HasSubstr("no JPEG"));  // the zero bytes end the literal
}

TEST(Decode, EveryTruncationIsAnError) {
  for (const std::string& whole : {png_of(noise(5, 16, 16)), jpeg_of(noise(5, 16, 16))}) {
    for (std::size_t length = 0; length + 20 < whole.size(); ++length) {
      EXPECT_NE(failure(whole.substr(0, length)), "no error") << length << " of " << whole.size();
    }
  }
}

TEST(Decode, DamagedBytesAreAnErrorOrAnImage) {
  for (const std::string& whole : {png_of(noise(6, 9, 9)), jpeg_of(noise(6, 9, 9))}) {
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ 0x41);
      DecodeOptions small;
      small.max_pixels = 1 << 22;
      failure(bytes, small);  // no crash
    }
  }
}

TEST(Decode, ScaledJpegsStayLargeEnough) {
  const std::string jpeg = jpeg_of(torch::full({320, 800, 3}, 100, torch::kUInt8));
  DecodeOptions options;
  for (const auto& [at_least, height] : {std::pair{0, 320}, {161, 320}, {160, 160}, {80, 80}, {40, 40}, {1, 40}}) {
    options.at_least_px = at_least;
    EXPECT_EQ(decode(jpeg, options).height, height) << at_least;
  }
}

// The filter written down again, in floating point and for one pixel.
double reference(const Tensor& plane, std::int64_t y, std::int64_t x, std::int64_t side, Interpolation kind) {
  const auto filter = [&](double d) {
    d = std::abs(d);
    if (kind == Interpolation::bilinear) return std::max(0.0, 1 - d);
    if (d < 1) return 1.5 * d * d * d - 2.5 * d * d + 1;
    return d < 2 ? -0.5 * d * d * d + 2.5 * d * d - 4 * d + 2 : 0.0;
  };
  const auto weights = [&](std::int64_t in, std::int64_t out) {
    const double scale = static_cast<double>(in) / static_cast<double>(side), wide = std::max(1.0, scale);
    Tensor w = torch::zeros({in}, torch::kFloat64);
    for (std::int64_t i = 0; i < in; ++i) {
      w[i] = filter((static_cast<double>(i) + 0.5 - (static_cast<double>(out) + 0.5) * scale) / wide);
    }
    return w / w.sum();
  };
  const Tensor columns = weights(plane.size(1), x), rows = weights(plane.size(0), y);
  return std::clamp(rows.dot(plane.to(torch::kFloat64).mv(columns)).item<double>(), 0.0, 255.0);
}

TEST(Resize, FollowsTheFilterWithinOneLevel) {
  for (const auto& [height, width] : {std::pair{37, 61}, {9, 200}, {5, 4}}) {
    const Tensor image = noise(7, height, width);
    for (const Interpolation kind : {Interpolation::bilinear, Interpolation::bicubic}) {
      const Tensor small = planes(resize_image(decode(png_of(image)), {16, ResizeMode::squash, 1, kind}));
      for (std::int64_t i = 0; i < 16; ++i) {
        const double expected = reference(image.select(2, 1), i, 15 - i, 16, kind);
        EXPECT_NEAR(small[1][i][15 - i].item<double>(), expected, 1.01) << height << " " << i;
      }
    }
  }
}

TEST(Resize, EveryLevelOfTheProcessorGivesTheSame) {
  for (const auto& [height, width, side] : {std::tuple{50, 70, 16},
                                            {300, 41, 33},
                                            {16, 16, 40},
                                            {3, 1000, 7},
                                            {1, 1, 5},
                                            {64, 64, 224},
                                            {2000, 3, 5},
                                            {5, 7, 6}}) {
    const std::string png = png_of(noise(8, height, width));
    for (const Interpolation kind : {Interpolation::bilinear, Interpolation::bicubic}) {
      for (const ResizeMode mode : {ResizeMode::squash, ResizeMode::crop}) {
        std::vector<Tensor> results;
        testing::at_every_level([&] { results.push_back(planes(resize_image(decode(png), {side, mode, 0.9, kind}))); });
        for (const Tensor& other : results) EXPECT_TRUE(torch::equal(other, results[0])) << height;
      }
    }
  }
}

Image image_of(const Tensor& pixels) {  // uint8 [3, H, W]
  return decode(png_of(pixels.permute({1, 2, 0})));
}

TEST(Resize, PartsOfAnImageArePillowsBitForBit) {
  const Tensor pixels = testing::reference_image(3);
  const Image whole = image_of(pixels);
  for (const auto& part : testing::made_by_pillow().at("parts")) {
    const auto box = part.at("box").get<std::vector<std::int64_t>>(),
               size = part.at("size").get<std::vector<std::int64_t>>();
    const Image out = resized_part(whole, box[0], box[1], box[2], box[3], size[0], size[1], Interpolation::bicubic);
    EXPECT_EQ(testing::fnv(planes(out)), part.at("hash").get<std::uint32_t>()) << part;
  }
}

TEST(Resize, EveryWordOfParametersIsAMode) {
  std::vector<ResizeMode> modes;
  for (const std::string& word : split_text(kResizeModes, '|')) modes.push_back(resize_mode(word).value());
  EXPECT_EQ(modes, (std::vector{ResizeMode::squash, ResizeMode::crop, ResizeMode::crop_ceil}));
  EXPECT_FALSE(resize_mode("cropped"));
}

// 224 / 0.95 = 235.8: timm's transform brings the shorter side to 235 px, the authors' to 236; torchvision's Resize
// then takes the whole part of the longer one, and CenterCrop rounds half to even.
TEST(Resize, TheShorterSideIsRoundedDownOrUp) {
  ResizeOptions options{224, ResizeMode::crop, 0.95, Interpolation::bicubic};
  EXPECT_EQ(shorter_side(options), 235);
  options.mode = ResizeMode::crop_ceil;
  EXPECT_EQ(shorter_side(options), 236);
  options.crop_pct = 0.875;  // 256 in both
  EXPECT_EQ(shorter_side(options), 256);
  options.mode = ResizeMode::crop;
  EXPECT_EQ(shorter_side(options), 256);
  const Tensor pixels = testing::reference_image(3);  // 32 x 24; the shorter side becomes 20 / 0.9 = 22.2
  for (const auto& [mode, width, height] : {std::tuple{ResizeMode::crop, 29, 22}, {ResizeMode::crop_ceil, 30, 23}}) {
    const Image got = resize_image(image_of(pixels), {20, mode, 0.9, Interpolation::bicubic});
    const Image all = resized_part(image_of(pixels), 0, 0, 32, 24, width, height, Interpolation::bicubic);
    const auto middle = [](int side) { return std::llrint((side - 20) / 2.0); };
    const Tensor expected = planes(all).narrow(1, middle(height), 20).narrow(2, middle(width), 20);
    EXPECT_TRUE(torch::equal(planes(got), expected)) << width;
  }
}

struct ServedAsTheyAre : Dataset {
  SplitInfo open() override { return {}; }
  std::string digest() override { return ""; }
  Tensor labels() override { return {}; }
  Tensor samples(const Tensor& indices, torch::Device) override {
    return testing::reference_image(3).expand({indices.size(0), 3, 24, 32});
  }
};

// What datasets without a decoder give by default is a float computation of the same filter.
TEST(Resize, TheDefaultCropsOfADatasetAreTheseWithinOneLevel) {
  const std::vector<CropBox> boxes = {{0, 0, 32, 24}, {3, 5, 17, 11}, {1, 0, 9, 20}, {2, 2, 30, 22}};
  ServedAsTheyAre dataset;
  const Tensor crops = dataset.crops(torch::arange(4), [&](std::int64_t i, std::int64_t width, std::int64_t height) {
    EXPECT_EQ(std::pair(width, height), std::pair(std::int64_t{32}, std::int64_t{24}));
    return boxes[static_cast<std::size_t>(i)];
  });
  const Image whole = image_of(testing::reference_image(3));
  for (std::int64_t i = 0; i < 4; ++i) {
    const CropBox& box = boxes[static_cast<std::size_t>(i)];
    const Tensor expected =
        planes(resized_part(whole, box.left, box.top, box.width, box.height, 32, 24, Interpolation::bicubic));
    EXPECT_LE((crops[i].to(torch::kInt32) - expected.to(torch::kInt32)).abs().max().item<int>(), 1) << i;
  }
}

Tensor served(const std::string& bytes, const ResizeOptions& resize, const DecodeOptions& decode = {}) {
  return planes(decode_and_resize(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), decode, resize));
}

// Strips end within the windows of both filters, in crops and in images of less than one strip.
TEST(Resize, AJpegStripByStripIsTheSame) {
  for (const auto& [height, width, side] :
       {std::tuple{100, 70, 33}, {31, 200, 40}, {257, 64, 64}, {64, 64, 64}, {64, 130, 64}, {5, 3, 8}, {300, 300, 7}}) {
    const std::string jpeg = jpeg_of(noise(9, height, width));
    for (const Interpolation kind : {Interpolation::bilinear, Interpolation::bicubic}) {
      for (const ResizeMode mode : {ResizeMode::squash, ResizeMode::crop}) {
        const ResizeOptions resize = {side, mode, 0.8, kind};
        EXPECT_TRUE(torch::equal(served(jpeg, resize), planes(resize_image(decode(jpeg), resize)))) << height;
      }
    }
    DecodeOptions scaled;
    scaled.at_least_px = 8;
    const ResizeOptions resize = {side, ResizeMode::squash, 1, Interpolation::bilinear};
    EXPECT_TRUE(torch::equal(served(jpeg, resize, scaled), planes(resize_image(decode(jpeg, scaled), resize))));
    EXPECT_TRUE(torch::equal(served(jpeg, {}), planes(decode(jpeg))));
  }
}

TEST(Resize, AJpegThatEndsBelowTheWindowIsBrokenStill) {
  const std::string jpeg = jpeg_of(noise(9, 400, 100));
  const ResizeOptions resize = {40, ResizeMode::crop, 1, Interpolation::bilinear};  // rows 150 to 250
  EXPECT_THROW(served(jpeg.substr(0, jpeg.size() - 300), resize), BrokenImage);
  EXPECT_NO_THROW(served(jpeg, resize));
}

// What Pillow 9.4 makes of real photos: CRC-32 of the bytes R, G, B plane by plane.
struct Photo {
  const char* name;
  std::uint32_t whole, bilinear224, bicubic64, crop224, grey;
};
constexpr Photo kPhotos[] = {
    {"Hemlock/hemlock_1.jpg", 0xc6a9015b, 0x8e96dcbf, 0x1a40a134, 0x25e19574, 0x1b1225d6},
    {"Japanese_Cherry/japanese_cherry_2.jpg", 0xdc1a2b74, 0x11d12ba2, 0x13e5e847, 0x8f89e953, 0xb83012a9},
    {"fork/fork_3.jpg", 0xa50247b4, 0xcb6668fd, 0xe42086e1, 0x43672ed0, 0x8010ea5a},
    {"scissors/scissors_4.jpg", 0x0d63a3b9, 0x2b0a8eb6, 0x80129a43, 0x9e668b8e, 0xa89443d2},
};

TEST(DecodeReal, PhotosEqualPillowsBitForBit) {
  REQUIRE_SHARED("photos/azure-customvision-mit.tar");
  const Scratch scratch;
  unpack(kShared / "photos/azure-customvision-mit.tar", scratch);
  for (const Photo& photo : kPhotos) {
    const std::string bytes = read_text(scratch.path() / "photos-mit" / photo.name);
    EXPECT_EQ(crc(planes(decode(bytes))), photo.whole) << photo.name;
    EXPECT_EQ(crc(planes(decode(bytes), 1)), photo.grey) << photo.name;
    const auto resized = [&](const ResizeOptions& options) { return crc(served(bytes, options)); };
    EXPECT_EQ(resized({224, ResizeMode::squash, 1, Interpolation::bilinear}), photo.bilinear224) << photo.name;
    EXPECT_EQ(resized({64, ResizeMode::squash, 1, Interpolation::bicubic}), photo.bicubic64) << photo.name;
    EXPECT_EQ(resized({224, ResizeMode::crop, 0.875, Interpolation::bicubic}), photo.crop224) << photo.name;
  }
}

TEST(DecodeReal, EdgeCasesComeOutAsInPillow) {
  REQUIRE_SHARED("decoder-edge/pillow-decoder.tar");
  const Scratch scratch;
  unpack(kShared / "decoder-edge/pillow-decoder.tar", scratch);
  // Pillow refuses these for their text chunks or metadata; their pixels are whole.
  const std::set<std::string> better = {"png_decompression_dos.png", "truncated_end_chunk.png",
                                        "truncated_exif_dpi.jpg", "unknown_compression_method.png"};
  std::ifstream index(scratch / "pillow-decoder/INDEX.csv");
  std::string line;
  std::getline(index, line);
  int cases = 0;
  while (std::getline(index, line)) {
    std::vector<std::string> field;
    std::istringstream fields(line);
    for (std::string text; std::getline(fields, text, ',');) field.push_back(text);
    const std::string bytes = read_text(scratch.path() / "pillow-decoder" / field.at(0));
    ++cases;
    if (field[2] == "TIFF" || field[0] == "hopper_rle8.bmp") {
      EXPECT_NE(failure(bytes), "no error") << field[0];
      continue;
    }
    if (better.count(field[0]) > 0) continue;
    if (field[6] != "yes") {
      EXPECT_NE(failure(bytes), "no error") << field[0];
      continue;
    }
    ASSERT_EQ(failure(bytes), "no error") << field[0];
    const Tensor image = planes(decode(bytes));
    EXPECT_EQ(std::to_string(image.size(2)) + "x" + std::to_string(image.size(1)), field[4] + "x" + field[5])
        << field[0];
    const Tensor first = image.select(2, 0).select(1, 0);
    const std::string rgb = std::to_string(first[0].item<int>()) + ";" + std::to_string(first[1].item<int>()) + ";" +
                            std::to_string(first[2].item<int>());
    EXPECT_EQ(rgb, field.at(7)) << field[0];
  }
  EXPECT_EQ(cases, 71);
}

}  // namespace
}  // namespace nmlbench::plugins
