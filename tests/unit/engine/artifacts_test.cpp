#include "cache/artifacts.h"

#include "cache/feature_store.h"
#include "support/damage.h"
#include "support/scratch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::Scratch;
const std::string kId = "0123456789abcdef0123456789abcdef";

void publish_text(ArtifactCache& cache, const std::string& text) {
  Staging staging = cache.stage();
  std::ofstream(staging.folder() / "weights") << text;
  cache.publish(ArtifactKind::checkpoint, kId, std::move(staging), {{"note", text}});
}

TEST(Artifacts, AreThereAfterPublishingAndNotBefore) {
  const Scratch scratch;
  ArtifactCache cache(scratch.path());
  {
    const Staging abandoned = cache.stage();
    std::ofstream(abandoned.folder() / "weights") << "half";
  }
  EXPECT_FALSE(cache.find(ArtifactKind::checkpoint, kId));
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "tmp"));
  publish_text(cache, "whole");
  const auto found = cache.find(ArtifactKind::checkpoint, kId);
  ASSERT_TRUE(found);
  EXPECT_EQ(testing::read_text(found->folder / "weights"), "whole");
  EXPECT_EQ(found->about->at("note"), "whole");
}

TEST(Artifacts, ASecondWriterFindsTheFirstOnesResult) {
  const Scratch scratch;
  ArtifactCache one(scratch.path()), two(scratch.path());
  publish_text(one, "first");
  publish_text(two, "second");
  EXPECT_EQ(testing::read_text(one.find(ArtifactKind::checkpoint, kId)->folder / "weights"), "first");
}

// An artifact that is damaged in many ways, one after the other.
class DamagedArtifact : public ::testing::Test {
 protected:
  DamagedArtifact() : cache_(scratch_ / "cache") {
    Staging staging = cache_.stage();
    std::ofstream(staging.folder() / "weights") << "some bytes";
    std::ofstream(staging.folder() / "more") << "others";
    cache_.publish(ArtifactKind::checkpoint, kId, std::move(staging), {{"note", "é"}, {"rate", 0.1}, {"rows", {1, 2}}});
    folder_ = cache_.find(ArtifactKind::checkpoint, kId)->folder;
    fs::copy(folder_, scratch_ / "whole");
  }
  void restore() const {
    fs::remove_all(folder_);
    fs::copy(scratch_ / "whole", folder_);
  }
  // By a process that has verified nothing yet. What it says meanwhile is in log_.
  bool is_found() {
    const ArtifactCache fresh(scratch_ / "cache");
    ::testing::internal::CaptureStdout();
    const bool found = fresh.find(ArtifactKind::checkpoint, kId).has_value();
    log_ = ::testing::internal::GetCapturedStdout();
    return found;
  }
  void expect_discarded(const std::string& file, const std::string& how) {
    EXPECT_FALSE(is_found()) << how;
    EXPECT_FALSE(fs::exists(folder_)) << how;
    EXPECT_THAT(log_, HasSubstr((folder_ / file).string() + ": ")) << how;
    restore();
  }

  const Scratch scratch_;
  ArtifactCache cache_;
  fs::path folder_;
  std::string log_;
};

TEST_F(DamagedArtifact, IsWholeWithoutDamage) {
  EXPECT_TRUE(is_found());
  restore();
  EXPECT_TRUE(is_found());
  EXPECT_EQ(log_, "");
}

TEST_F(DamagedArtifact, EveryFlippedBitIsFound) {
  for (const char* name : {"weights", "more", "meta.json"}) {
    const auto bits = 8 * static_cast<std::int64_t>(fs::file_size(folder_ / name));
    for (std::int64_t bit = 0; bit < bits; bit += name[0] == 'm' ? 3 : 1) {
      testing::flip_bit(folder_ / name, bit);
      expect_discarded(name, "bit " + std::to_string(bit));
    }
  }
}

TEST_F(DamagedArtifact, FilesThatAreMissingOrOfAnotherLengthAreFound) {
  for (const char* name : {"weights", "meta.json"}) {
    for (const std::uintmax_t length : {0, 3, 100000}) {
      fs::resize_file(folder_ / name, length);
      expect_discarded(name, std::to_string(length));
    }
    fs::remove(folder_ / name);
    expect_discarded(name, "missing");
    fs::remove(folder_ / name);
    fs::create_directory(folder_ / name);
    expect_discarded(name, "a folder");
  }
}

TEST_F(DamagedArtifact, AnyOtherMetaJsonIsDamage) {
  const std::string whole = testing::read_text(folder_ / "meta.json");
  for (const std::string& text :
       {std::string("null"), std::string("[]"), std::string("{}"), std::string("\xff\xfe"), std::string(100000, '['),
        std::string(R"({"about": {"note": "x"}, "files": {"weights": 10, "more": 6}})"),  // before there were checksums
        std::string(R"({"about": 1, "files": []})"),
        std::string(R"({"about": 1, "files": {"weights": {"bytes": "x"}}})"),
        std::string(R"({"about": 1, "files": {}, "digest": "00000000000000000000000000000000"})"), whole + " ",
        " " + whole}) {
    std::ofstream(folder_ / "meta.json") << text;
    expect_discarded("meta.json", text.substr(0, 80));
  }
}

TEST_F(DamagedArtifact, AnotherOnesPlaceIsDamage) {
  std::string other = kId;
  other.back() = '0';
  fs::copy(folder_, folder_.parent_path() / other);
  EXPECT_FALSE(cache_.find(ArtifactKind::checkpoint, other));
  EXPECT_TRUE(cache_.find(ArtifactKind::checkpoint, kId));
}

TEST_F(DamagedArtifact, IsSeenWhenItHappensAfterTheFirstLook) {
  EXPECT_TRUE(cache_.find(ArtifactKind::checkpoint, kId));
  testing::flip_bit(folder_ / "weights", 5);
  EXPECT_FALSE(cache_.find(ArtifactKind::checkpoint, kId));
}

TEST_F(DamagedArtifact, IsComputedAgain) {
  testing::flip_bit(folder_ / "weights", 5);
  EXPECT_FALSE(cache_.find(ArtifactKind::checkpoint, kId));
  publish_text(cache_, "again");
  EXPECT_TRUE(cache_.find(ArtifactKind::checkpoint, kId));
  EXPECT_TRUE(is_found());
}

TEST_F(DamagedArtifact, StaysWhenOnlyAForecastAsks) {
  testing::flip_bit(folder_ / "meta.json", 5);
  EXPECT_FALSE(cache_.has(ArtifactKind::checkpoint, kId));
  EXPECT_TRUE(fs::exists(folder_));
  restore();
  EXPECT_TRUE(cache_.has(ArtifactKind::checkpoint, kId));
}

TEST_F(DamagedArtifact, IsWhatItsReaderCannotUse) {
  const auto read = [&](const Artifact& artifact) { artifact.about->at("absent").get<int>(); };
  EXPECT_FALSE(cache_.use(ArtifactKind::checkpoint, kId, read));
  EXPECT_FALSE(fs::exists(folder_));
  restore();
  const auto refuse = [&](const Artifact& artifact) { throw DamagedFile(artifact.folder / "weights", "no weights"); };
  EXPECT_FALSE(cache_.use(ArtifactKind::checkpoint, kId, refuse));
  EXPECT_FALSE(fs::exists(folder_));
}

// Without file descriptors nothing can be read, and nothing is the worse for it.
TEST_F(DamagedArtifact, IsNotOneThatCannotBeReadJustNow) {
  const ArtifactCache fresh(scratch_ / "cache");
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  EXPECT_THROW(fresh.find(ArtifactKind::checkpoint, kId), Error);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(fresh.find(ArtifactKind::checkpoint, kId));
}

// Bytes that this process has read from files so far.
std::int64_t bytes_read() {
  std::ifstream in("/proc/self/io");
  std::string name;
  std::int64_t bytes = 0;
  while (in >> name >> bytes && name != "rchar:") {
  }
  return bytes;
}

TEST(Artifacts, AreReadOnceInAProcess) {
  const Scratch scratch;
  constexpr std::int64_t kBytes = 1 << 22;
  ArtifactCache cache(scratch.path());
  Staging staging = cache.stage();
  std::ofstream(staging.folder() / "weights") << std::string(kBytes, 'x');
  cache.publish(ArtifactKind::checkpoint, kId, std::move(staging), {});
  std::int64_t before = bytes_read();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(cache.find(ArtifactKind::checkpoint, kId));
  EXPECT_LT(bytes_read() - before, kBytes / 2);  // publishing has read it
  const ArtifactCache fresh(scratch.path());
  before = bytes_read();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(fresh.find(ArtifactKind::checkpoint, kId));
  EXPECT_GE(bytes_read() - before, kBytes);
  EXPECT_LT(bytes_read() - before, 2 * kBytes);
}

TEST(Artifacts, LeftoversOfDeadProcessesAreRemoved) {
  const Scratch scratch;
  char host[256] = {};
  gethostname(host, sizeof(host) - 1);
  ArtifactCache first(scratch.path());
  const Staging alive = first.stage();
  std::filesystem::create_directories(scratch / ("tmp/" + std::string(host) + ".2147483646.0"));
  const ArtifactCache second(scratch.path());
  EXPECT_FALSE(std::filesystem::exists(scratch / ("tmp/" + std::string(host) + ".2147483646.0")));
  EXPECT_TRUE(std::filesystem::exists(alive.folder()));
}

TEST(Artifacts, ALockedArtifactIsWaitedForUntilStopped) {
  const Scratch scratch;
  ArtifactCache cache(scratch.path());
  const Lease held = cache.lock(kId, nullptr);
  const std::atomic<bool> stop{true};
  EXPECT_THROW(cache.lock(kId, &stop), Interrupted);
}

TEST(Artifacts, AFolderThatCannotBeMadeIsOneClearError) {
  const Scratch scratch;
  scratch.write("file", "");
  try {
    ArtifactCache cache(scratch / "file/cache");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("--cache-dir"), std::string::npos) << error.what();
  }
}

TEST(FeatureStore, GivesBackExactlyWhatWasWritten) {
  const Scratch scratch;
  ArtifactCache cache(scratch.path());
  const torch::Tensor x = torch::randn({7, 5}), y = torch::tensor({0, 1, 2, 0, 1, 2, 0}, torch::kInt64);
  EXPECT_FALSE(load_features(cache, kId));
  FeatureWriter writer(cache, 7, 5);
  writer.x().slice(0, 0, 4).copy_(x.slice(0, 0, 4));
  writer.x().slice(0, 4, 7).copy_(x.slice(0, 4, 7));
  writer.publish(kId, y, 3, {});
  const auto features = load_features(cache, kId);
  ASSERT_TRUE(features);
  EXPECT_TRUE(torch::equal(features->x, x));
  EXPECT_TRUE(torch::equal(features->y, y));
  EXPECT_EQ(features->classes, 3);
  EXPECT_EQ(features->tokens, 1);
}

TEST(FeatureStore, KnowsHowManyTokensFeaturesAre) {
  const Scratch scratch;
  ArtifactCache cache(scratch.path());
  FeatureWriter writer(cache, 2, 6, /*tokens=*/3);
  writer.x().zero_();
  writer.publish(kId, torch::tensor({0, 1}, torch::kInt64), 2, {});
  EXPECT_EQ(require_features(cache, kId).tokens, 3);
}

TEST(FeatureStore, OtherRowsThanTheFilesHoldAreDamage) {
  const Scratch scratch;
  ArtifactCache cache(scratch.path());
  const auto publish = [&](const nlohmann::json& about) {
    Staging staging = cache.stage();
    std::ofstream(staging.folder() / "x.f32") << std::string(24, 'x');
    std::ofstream(staging.folder() / "y.i64") << std::string(16, '\0');
    cache.publish(ArtifactKind::features, kId, std::move(staging), about);
  };
  publish({{"rows", 2}, {"dim", 3}, {"classes", 1}});
  EXPECT_TRUE(load_features(cache, kId));
  for (const nlohmann::json& about : std::vector<nlohmann::json>{{{"rows", 2}, {"dim", 4}, {"classes", 1}},
                                                                 {{"rows", 3}, {"dim", 2}, {"classes", 1}},
                                                                 {{"rows", -1}, {"dim", 2}, {"classes", 1}},
                                                                 {{"rows", "2"}, {"dim", 3}, {"classes", 1}},
                                                                 {{"dim", 3}, {"classes", 1}},
                                                                 nlohmann::json::array()}) {
    fs::remove_all(scratch / "features/01" / kId);
    publish(about);
    EXPECT_FALSE(load_features(cache, kId)) << about;
    EXPECT_FALSE(fs::exists(scratch / "features/01" / kId)) << about;
  }
}

TEST(FeatureStore, MoreThanTheDiskHoldsIsAnError) {
  const Scratch scratch;
  ArtifactCache cache(scratch.path());
  EXPECT_THROW(FeatureWriter(cache, std::int64_t{1} << 40, 64), Error);
}

}  // namespace
}  // namespace nmlbench
