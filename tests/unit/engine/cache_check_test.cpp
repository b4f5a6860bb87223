// `doctor --cache` from the inside, and the formats that it relies on.
#include "cache/cache_check.h"

#include "cache/artifacts.h"
#include "support/damage.h"
#include "support/scratch.h"

#include <nmlbench/sealed.h>

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Scratch;

TEST(Sealed, GivesBackWhatWasSealedAndNothingElse) {
  for (const std::string content : {"", "x", "some\nlines\n"}) {
    const std::string bytes = sealed("format/1", content);
    EXPECT_EQ(unsealed("format/1", bytes), content);
    EXPECT_FALSE(unsealed("format/2", bytes));
    EXPECT_FALSE(unsealed("format/", bytes));
    EXPECT_TRUE(is_sealed(bytes));
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_FALSE(unsealed("format/1", damaged)) << bit;
      EXPECT_FALSE(is_sealed(damaged)) << bit;
    }
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_FALSE(unsealed("format/1", bytes.substr(0, length)));
      EXPECT_FALSE(is_sealed(bytes.substr(0, length)));
    }
    EXPECT_FALSE(is_sealed(bytes + "x"));
  }
}

const std::string kArtifact = "0123456789abcdef0123456789abcdef";

// One of everything a cache holds.
class CacheCheck : public ::testing::Test {
 protected:
  CacheCheck() {
    ArtifactCache cache(scratch_.path());
    for (const ArtifactKind kind : {ArtifactKind::checkpoint, ArtifactKind::features, ArtifactKind::measurement}) {
      Staging staging = cache.stage();
      std::ofstream(staging.folder() / "data") << "content";
      cache.publish(kind, kArtifact, std::move(staging), {{"note", 1}});
    }
    scratch_.write("checkpoints/ab/abc.partial", sealed("p/1", "weights"));
    scratch_.write("images/ab/abc.index", sealed("i/1", "places"));
    scratch_.write("digests/abc", sealed("d/1", "digest"));
    const std::string row = "0123456789";
    const std::uint64_t sum = row_checksum(row.data(), row.size());
    std::string sums(3 * sizeof sum, '\0');
    std::memcpy(sums.data() + sizeof sum, &sum, sizeof sum);  // the second of three rows is there
    scratch_.write("images/ab/abc.rows", std::string(10, '\0') + row + std::string(10, '\0'));
    scratch_.write("images/ab/abc.sums", sums);
    scratch_.write("images/lock", "");
  }

  const Scratch scratch_;
};

TEST_F(CacheCheck, AWholeOneIsCounted) {
  const CacheReport report = check_cache(scratch_.path());
  EXPECT_THAT(report.damage, ElementsAre());
  ASSERT_EQ(report.kinds.size(), 7U);
  for (const CacheKind& kind : report.kinds) {
    EXPECT_EQ(kind.count, 1) << kind.name;
    EXPECT_EQ(kind.damaged, 0) << kind.name;
    EXPECT_GT(kind.bytes, 0U) << kind.name;
  }
}

TEST_F(CacheCheck, EveryFlippedBitIsNamedAndNothingRemoved) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(scratch_.path())) {
    if (entry.is_regular_file() && entry.file_size() > 0) files.push_back(entry.path());
  }
  EXPECT_EQ(files.size(), 3 * 2 + 5U);
  for (const fs::path& file : files) {
    const auto bits = 8 * static_cast<std::int64_t>(fs::file_size(file));
    for (std::int64_t bit = 0; bit < bits; bit += 5) {
      if (file.extension() == ".rows" && (bit < 80 || bit >= 160)) continue;  // holes
      testing::flip_bit(file, bit);
      const CacheReport report = check_cache(scratch_.path());
      ASSERT_THAT(report.damage, ElementsAre(HasSubstr(file.parent_path().string()))) << file << " " << bit;
      testing::flip_bit(file, bit);
    }
  }
  EXPECT_THAT(check_cache(scratch_.path()).damage, ElementsAre());
}

TEST_F(CacheCheck, WhatEarlierVersionsWroteIsNamed) {
  scratch_.write("checkpoints/ab/abd.partial", "PK\x03\x04");
  scratch_.write("checkpoints/ab/" + kArtifact + "/meta.json", R"({"about": {}, "files": {"weights.pt": 3}})");
  EXPECT_EQ(check_cache(scratch_.path()).damage.size(), 2U);
}

TEST_F(CacheCheck, AnEmptyFolderIsWhole) {
  const Scratch empty;
  EXPECT_THAT(check_cache(empty.path()).damage, ElementsAre());
}

}  // namespace
}  // namespace nmlbench
