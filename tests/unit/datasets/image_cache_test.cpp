// The limit of the decode-once cache: who goes, who stays, and what happens when there is no room.
#include "support/damage.h"
#include "support/datasets.h"
#include "support/images.h"
#include "support/scratch.h"
#include "support/surroundings.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::OpenedDataset;
using testing::Scratch;
using torch::Tensor;

constexpr std::int64_t kImages = 16, kSide = 64;
constexpr std::int64_t kSetBytes = kImages * 3 * kSide * kSide;  // 197 kB

class ImageCache : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string name : {"a", "b", "c"}) {
      for (std::int64_t i = 0; i < kImages; ++i) {
        const auto seed = static_cast<std::uint64_t>(name[0] * 100 + i);
        const Tensor image = Stream(seed).integers({kSide, kSide, 3}, 256).to(torch::kUInt8);
        scratch_.write(name + "/x/" + std::to_string(100 + i) + ".png", testing::png_of(image));
      }
    }
  }

  static void limit(double sets) { testing::Surrounded::limit_images(sets * static_cast<double>(kSetBytes)); }
  OpenedDataset open(const std::string& name, bool cache = true) const {
    return {"image-folder", {{"path", (scratch_ / name).string()}, {"cache", cache}}};
  }
  // Opens, reads, closes; the images have to be the files'.
  void read(const std::string& name) const {
    EXPECT_TRUE(torch::equal(open(name).all(), open(name, /*cache=*/false).all())) << name;
  }
  std::set<std::string> ids() const {
    std::set<std::string> found;
    for (const fs::path& file : files()) found.insert(file.stem().string());
    return found;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    std::error_code absent;
    for (const auto& entry : fs::recursive_directory_iterator(scratch_ / "cache/images", absent)) {
      if (entry.is_regular_file() && entry.path().filename() != "lock") found.push_back(entry.path());
    }
    return found;
  }
  fs::path file(const std::string& id, const std::string& ending) const {
    return scratch_ / ("cache/images/" + id.substr(0, 2) + "/" + id + ending);
  }
  // Reads a set that is not in the cache; its id.
  std::string fill(const std::string& name) const {
    const std::set<std::string> before = ids();
    read(name);
    for (const std::string& id : ids()) {
      if (before.count(id) == 0) return id;
    }
    return "";
  }
  void used(const std::string& id, int seconds_ago) const {
    for (const fs::path& part : files()) {
      if (part.stem() == id)
        fs::last_write_time(part, fs::file_time_type::clock::now() - std::chrono::seconds(seconds_ago));
    }
  }
  static void swap_first_rows(const fs::path& file, std::int64_t row_bytes) {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    std::string rows(static_cast<std::size_t>(2 * row_bytes), '\0');
    bytes.read(rows.data(), 2 * row_bytes);
    std::rotate(rows.begin(), rows.begin() + row_bytes, rows.end());
    bytes.seekp(0);
    bytes.write(rows.data(), 2 * row_bytes);
  }
  std::int64_t disk_bytes() const {
    std::int64_t bytes = 0;
    for (const fs::path& part : files()) {
      struct stat status {};
      if (::stat(part.c_str(), &status) == 0) bytes += status.st_blocks * 512;
    }
    return bytes;
  }

  Scratch scratch_;
  const testing::Surrounded surrounded_{scratch_ / "cache"};
};

TEST_F(ImageCache, TheLeastRecentlyUsedGoesFirst) {
  limit(2.5);
  const std::string a = fill("a"), b = fill("b");
  used(a, 20);
  used(b, 10);
  read("a");  // from the cache, which is a use
  const std::string c = fill("c");
  EXPECT_EQ(ids(), (std::set<std::string>{a, c}));
  EXPECT_LE(disk_bytes(), kSetBytes * 5 / 2);
}

TEST_F(ImageCache, ALowerLimitHoldsFromTheNextOpening) {
  const std::string a = fill("a"), b = fill("b");
  used(a, 10);
  limit(1.2);
  read("b");
  EXPECT_EQ(ids(), std::set<std::string>{b});
}

TEST_F(ImageCache, WhatThisProcessHasOpenStays) {
  limit(1.2);
  const OpenedDataset a = open("a");
  a.all();
  const std::set<std::string> held = ids();
  ::testing::internal::CaptureStderr();
  read("b");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("the limit of --image-cache-gb"));
  EXPECT_EQ(ids().count(*held.begin()), 1U);
  EXPECT_LE(disk_bytes(), kSetBytes * 6 / 5);
  EXPECT_TRUE(torch::equal(a.all(), open("a", /*cache=*/false).all()));
}

TEST_F(ImageCache, WhatAnotherProcessHasOpenStaysUntilItIsGone) {
  const std::string a = fill("a");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    const int held = ::open(file(a, ".sums").c_str(), O_RDWR);
    const char said = ::flock(held, LOCK_SH) == 0 ? 'y' : 'n';
    if (::write(ready[1], &said, 1) == 1) ::pause();
    ::_exit(0);
  }
  char said = 0;
  ASSERT_EQ(::read(ready[0], &said, 1), 1);
  limit(1.2);
  read("b");
  EXPECT_EQ(ids().count(a), 1U);
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  read("c");
  EXPECT_EQ(ids().count(a), 0U);
}

TEST_F(ImageCache, ASetAboveTheLimitIsKeptInPart) {
  limit(0.5);
  read("a");
  EXPECT_LE(disk_bytes(), kSetBytes / 2);
  EXPECT_GE(disk_bytes(), kSetBytes / 4);
  read("a");
}

TEST_F(ImageCache, ALimitOfZeroKeepsNothing) {
  fill("a");
  limit(0);
  read("b");
  EXPECT_TRUE(files().empty());
}

TEST_F(ImageCache, EvictionThatACrashCutShortLosesNothing) {
  const std::string a = fill("a"), b = fill("b");
  fs::remove(file(a, ".rows"));  // sums that promise rows
  fs::remove(file(b, ".sums"));  // rows that nobody knows of
  read("a");
  used(b, 10);
  limit(1.2);
  read("a");
  EXPECT_EQ(ids(), std::set<std::string>{a});
}

TEST_F(ImageCache, FlippedBitsAreFoundAndNamedAndTheImagesDecodedAgain) {
  const std::string a = fill("a");
  std::mt19937_64 random(7);
  ::testing::internal::CaptureStderr();
  for (const char* ending : {".rows", ".sums"}) {
    const auto bits = 8 * static_cast<std::int64_t>(fs::file_size(file(a, ending)));
    for (int flip = 0; flip < 50; ++flip) {
      const std::string whole = testing::read_text(file(a, ending));
      testing::flip_bit(file(a, ending), static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(bits)));
      read("a");
      EXPECT_EQ(testing::read_text(file(a, ending)), whole);  // mended
    }
  }
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr(file(a, ".rows").string() + ": damaged"));
}

TEST_F(ImageCache, AFolderRemovedWhileInUseChangesNothing) {
  const OpenedDataset a = open("a");
  const Tensor before = a.all();
  fs::remove_all(scratch_ / "cache");
  EXPECT_TRUE(torch::equal(a.all(), before));
  read("a");
}

TEST_F(ImageCache, AFolderThatCannotBeMadeCostsTimeOnly) {
  scratch_.write("cache/images", "a file");
  ::testing::internal::CaptureStderr();
  read("a");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("images that are not in the cache yet are decoded"));
}

TEST_F(ImageCache, AFolderThatCannotBeWrittenIsRead) {
  const std::string a = fill("a");
  swap_first_rows(file(a, ".rows"), kSetBytes / kImages);  // shows where images come from
  swap_first_rows(file(a, ".sums"), sizeof(std::uint64_t));
  for (const auto& entry : fs::recursive_directory_iterator(scratch_.path())) {
    ::chmod(entry.path().c_str(), entry.is_directory() ? 0555 : 0444);
  }
  ::chmod(scratch_.path().c_str(), 0555);
  const bool root = ::geteuid() == 0;  // permissions do not bind root
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const Tensor from_cache = open("a").all();
  const Tensor decoded = open("a", /*cache=*/false).all();
  read("b");  // not there
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_TRUE(torch::equal(from_cache[0], decoded[1]));
  EXPECT_TRUE(torch::equal(from_cache.slice(0, 2), decoded.slice(0, 2)));
  EXPECT_EQ(ids(), std::set<std::string>{a});
  ::chmod(scratch_.path().c_str(), 0755);
  for (const auto& entry : fs::recursive_directory_iterator(scratch_.path())) ::chmod(entry.path().c_str(), 0755);
}

// What a full disk looks like to a program: growing or writing a file fails.
TEST_F(ImageCache, AFullDiskCostsTimeOnly) {
  const Tensor expected = open("a", /*cache=*/false).all();
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto room = [&](rlim_t bytes) {
    const rlimit now{bytes, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  };
  const OpenedDataset opened = open("a");
  room(kSetBytes / 2);
  const Tensor half_kept = opened.all();
  const Tensor unkept = open("b").all();
  room(before.rlim_cur);
  EXPECT_TRUE(torch::equal(half_kept, expected));
  EXPECT_TRUE(torch::equal(unkept, open("b", /*cache=*/false).all()));
  read("a");
}

}  // namespace
}  // namespace nmlbench
