// What is kept of a shard's headers: used when it fits the shard, ignored when it is damaged or the shard another.
#include "datasets/webdataset/shard_index.h"

#include "support/damage.h"
#include "support/datasets.h"
#include "support/images.h"
#include "support/scratch.h"
#include "support/surroundings.h"
#include "support/tar.h"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using plugins::CacheSpace;
using plugins::ShardIndex;
using plugins::TarSample;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Scratch;

// Only its state counts; it is old enough not to change again without a trace.
const fs::path kOldFile = fs::path(NMLBENCH_SOURCE_DIR) / "LICENSE";
const std::vector<std::string> kEndings = {"cls"};

class ShardIndexes : public ::testing::Test {
 protected:
  ShardIndex index(const fs::path& shard, const std::vector<std::string>& endings = kEndings) const {
    return {space_, shard, endings};
  }
  // Bytes of a valid index.
  std::string saved(const std::vector<TarSample>& samples) const {
    index(kOldFile).save(samples);
    return testing::read_text(index(kOldFile).file());
  }
  void put(const std::string& bytes, const fs::path& file) const {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
  }
  fs::path write_shard(const std::string& label) const {
    const std::string png = testing::png_of(torch::zeros({2, 2, 3}, torch::kUInt8));
    return scratch_.write("shard.tar", testing::tar_of({{"x.png", png}, {"x.cls", label}}));
  }
  std::vector<std::int64_t> labels(const testing::Values& more = {}) const {
    testing::Values values = more;
    values.emplace_back("path", (scratch_ / "shard.tar").string());
    return testing::OpenedDataset("webdataset", values).labels();
  }

  Scratch scratch_;
  const testing::Surrounded surrounded_{scratch_ / "cache"};
  CacheSpace space_{scratch_ / "cache/images", 1 << 20};
  std::vector<TarSample> samples_ = {{"a/1", 0, 512, {{"cls", "7"}}},
                                     {"a/2", 0, std::int64_t{1} << 40, {}},
                                     {"", 0, -1, {{"json", std::string("\0{}", 3)}, {"txt", ""}}}};
};

TEST_F(ShardIndexes, GiveBackWhatWasSaved) {
  EXPECT_FALSE(index(kOldFile).load());
  index(kOldFile).save(samples_);
  const auto loaded = index(kOldFile).load();
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->size(), samples_.size());
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    EXPECT_EQ((*loaded)[i].key, samples_[i].key);
    EXPECT_EQ((*loaded)[i].image, samples_[i].image);
    EXPECT_EQ((*loaded)[i].fields, samples_[i].fields);
  }
  EXPECT_FALSE(index(kOldFile, {"cls", "txt"}).load());
}

TEST_F(ShardIndexes, EveryDamageAndTruncationIsNoticed) {
  const std::string whole = saved(samples_);
  const fs::path file = index(kOldFile).file();
  ASSERT_TRUE(index(kOldFile).load());
  ::testing::internal::CaptureStderr();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    put(whole.substr(0, i), file);
    EXPECT_FALSE(index(kOldFile).load()) << i;
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    put(flipped, file);
    EXPECT_FALSE(index(kOldFile).load()) << i;
  }
  put(whole + "x", file);
  EXPECT_FALSE(index(kOldFile).load());
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr(file.string() + ": is damaged"));
}

TEST_F(ShardIndexes, TheDigestOfAShardIsCheckedToo) {
  const std::string expected = plugins::content_digest({kOldFile});
  const fs::path memo = fs::directory_iterator(scratch_ / "cache/digests")->path();
  const std::string whole = testing::read_text(memo);
  ::testing::internal::CaptureStderr();
  for (std::int64_t bit = 0; bit < 8 * static_cast<std::int64_t>(whole.size()); ++bit) {
    testing::flip_bit(memo, bit);
    EXPECT_EQ(plugins::content_digest({kOldFile}), expected) << bit;
    EXPECT_EQ(testing::read_text(memo), whole) << bit;  // computed again, and kept
  }
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr(memo.string() + ": is damaged"));
}

// Its clock cannot tell the next change.
TEST_F(ShardIndexes, AShardThatHasJustChangedHasNone) {
  const fs::path shard = write_shard("1");
  index(shard).save(samples_);
  EXPECT_FALSE(index(shard).load());
}

TEST_F(ShardIndexes, AreUsedUntilTheShardChanges) {
  std::vector<TarSample> samples = {{"x", 0, 0, {{"cls", "5"}}}};  // not what the shard says: shows who was asked
  const fs::path shard = write_shard("1");
  const std::string bytes = saved(samples);
  put(bytes, index(shard).file());
  EXPECT_THAT(labels(), ElementsAre(5));
  EXPECT_THAT(labels({{"cache", false}}), ElementsAre(1));
  put(bytes.substr(0, bytes.size() - 1), index(shard).file());
  EXPECT_THAT(labels(), ElementsAre(1));
  put(bytes, index(shard).file());
  const auto before = fs::last_write_time(shard);
  write_shard("2");
  fs::last_write_time(shard, before);  // same size, same time, another change time
  EXPECT_THAT(labels(), ElementsAre(2));
}

TEST_F(ShardIndexes, AFolderThatCannotBeWrittenHasNone) {
  scratch_.write("cache/images", "a file");
  write_shard("3");
  EXPECT_THAT(labels(), ElementsAre(3));
  index(kOldFile).save(samples_);
  EXPECT_FALSE(index(kOldFile).load());
}

TEST_F(ShardIndexes, CountForTheLimitOfTheFolder) {
  index(kOldFile).save(samples_);
  EXPECT_TRUE(CacheSpace(space_.folder(), 1 << 16).make_room(0));
  EXPECT_TRUE(index(kOldFile).load());
  EXPECT_TRUE(CacheSpace(space_.folder(), 100).make_room(0));
  EXPECT_FALSE(index(kOldFile).load());
}

}  // namespace
}  // namespace nmlbench
