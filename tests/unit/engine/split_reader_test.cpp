// Reading samples while others are encoded: the same samples in the same order, and errors where they belong.
#include "engine/split_reader.h"

#include "support/images.h"
#include "support/plugins.h"
#include "support/scratch.h"

#include <nmlbench/error.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;
using torch::Tensor;

// Until it holds, for ten seconds at most.
template <typename Condition>
bool comes_true(const Condition& condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return condition();
}

TEST(ReadAhead, ItemsComeInOrderAndAreMadeBeforeTheyAreAskedFor) {
  std::atomic<std::int64_t> made{0};
  ReadAhead<std::int64_t> ahead(20, 2, [&](std::int64_t i) { return ++made, 10 * i; });
  for (std::int64_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(comes_true([&] { return made == std::min<std::int64_t>(20, i + 2); })) << i;
    if (i == 5) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      EXPECT_EQ(made, 7) << "more than two items are ahead";
    }
    EXPECT_EQ(ahead.next(), 10 * i);
  }
}

TEST(ReadAhead, WithoutAnythingAheadItemsAreMadeWhereTheyAreTaken) {
  ReadAhead<std::thread::id> here(1, 0, [](std::int64_t) { return std::this_thread::get_id(); });
  EXPECT_EQ(here.next(), std::this_thread::get_id());
  ReadAhead<std::thread::id> there(1, 1, [](std::int64_t) { return std::this_thread::get_id(); });
  EXPECT_NE(there.next(), std::this_thread::get_id());
}

TEST(ReadAhead, AnErrorComesAfterTheItemsBefore) {
  for (const std::int64_t ahead : {0, 1, 2}) {
    ReadAhead<std::int64_t> items(9, ahead, [](std::int64_t i) {
      if (i == 3) throw DataError("item 3 is broken");
      return i;
    });
    for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(items.next(), i);
    try {
      items.next();
      FAIL() << "no error";
    } catch (const DataError& error) {
      EXPECT_STREQ(error.what(), "item 3 is broken");
    }
  }
}

TEST(ReadAhead, WhoeverGoesAwayWaitsForTheItemInTheMakingOnly) {
  std::atomic<std::int64_t> made{0};
  {
    ReadAhead<std::int64_t> items(1000, 900, [&](std::int64_t i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return ++made, i;
    });
    items.next();
  }
  EXPECT_LE(made, 100);  // all would take 20 s
}

class SplitReading : public ::testing::Test {
 protected:
  static constexpr std::int64_t kImages = 600;  // of which 256 are read at a time

  SplitReading() {
    const Tensor pixels = Stream(3).integers({kImages, 9, 12, 3}, 256).to(torch::kUInt8);
    for (std::int64_t i = 0; i < kImages; ++i) write(i, png_of(pixels[i]));
  }
  static std::string file(std::int64_t row) { return fmt::format("images/{}/{:04}.png", row < 300 ? "a" : "b", row); }
  void write(std::int64_t row, const std::string& bytes) const { scratch_.write(file(row), bytes); }
  SplitData open() const {
    return SplitData(plugin(PluginKind::dataset, "image-folder",
                            {{"path", (scratch_ / "images").string()}, {"size", std::int64_t{8}}, {"cache", false}}));
  }

  Scratch scratch_;
};

TEST_F(SplitReading, ChunksAreWhatIsAtTheirRows) {
  Views shifted;
  shifted.count = 2;
  shifted.augment.shift = shifted.augment.flip = true;
  shifted.augment.max_shift = 2;
  shifted.strong_jitter = 0.4;
  Views cropped;
  cropped.count = 2;
  cropped.augment.photo_crop = cropped.augment.flip = true;
  cropped.augment.min_scale = 0.3;
  for (const Views& views : {Views(), shifted, cropped}) {
    const SplitData split = open(), again = open();
    SplitReader reader(split, views, 250, torch::kCPU);
    std::int64_t seen = 0;
    while (const std::optional<Chunk> chunk = reader.next()) {
      EXPECT_EQ(chunk->view, seen / kImages);
      EXPECT_EQ(chunk->first, seen % kImages);
      EXPECT_EQ(chunk->last, std::min(chunk->first + 250, kImages));
      const Stream draws = Stream(0).at("views").at(chunk->view).at(chunk->first);
      const Samples expected =
          samples_at(again, torch::arange(chunk->first, chunk->last), torch::kCPU, views.of(chunk->view), draws);
      EXPECT_TRUE(torch::equal(chunk->samples.x, expected.x)) << "view " << chunk->view << " from " << chunk->first;
      seen += chunk->last - chunk->first;
    }
    EXPECT_EQ(seen, views.copies() * kImages);
    EXPECT_GT(reader.seconds_waited(), 0);
    EXPECT_FALSE(reader.next());
  }
}

TEST_F(SplitReading, ABrokenImageIsAnErrorOfItsChunk) {
  write(599, "no image");
  const SplitData split = open();
  const Views views;
  SplitReader reader(split, views, 200, torch::kCPU);
  EXPECT_EQ(reader.next()->last, 200);
  EXPECT_EQ(reader.next()->last, 400);
  try {
    reader.next();
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("b/0599.png"));
  }
}

TEST_F(SplitReading, WhatWasReadStaysInMemory) {
  const SplitData split = open();
  const Tensor first = split.samples(torch::arange(256), torch::kCPU);
  EXPECT_FALSE(split.in_memory());
  for (std::int64_t row = 0; row < 256; ++row) std::filesystem::remove(scratch_ / file(row));
  EXPECT_TRUE(torch::equal(split.samples(torch::arange(256), torch::kCPU), first));
  const Tensor all = split.samples(torch::arange(kImages), torch::kCPU);
  EXPECT_TRUE(split.in_memory());
  EXPECT_TRUE(torch::equal(all.slice(0, 0, 256), first));
  std::filesystem::remove_all(scratch_ / "images");
  EXPECT_TRUE(torch::equal(split.samples(torch::arange(kImages), torch::kCPU), all));
}

}  // namespace
}  // namespace nmlbench::testing
