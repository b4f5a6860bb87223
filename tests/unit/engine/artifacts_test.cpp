#include "cache/artifacts.h"

#include "cache/feature_store.h"
#include "support/scratch.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

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
  const auto folder = cache.find(ArtifactKind::checkpoint, kId);
  ASSERT_TRUE(folder);
  EXPECT_EQ(testing::read_text(*folder / "weights"), "whole");
  EXPECT_EQ(ArtifactCache::about(*folder).at("note"), "whole");
}

TEST(Artifacts, ASecondWriterFindsTheFirstOnesResult) {
  const Scratch scratch;
  ArtifactCache one(scratch.path()), two(scratch.path());
  publish_text(one, "first");
  publish_text(two, "second");
  EXPECT_EQ(testing::read_text(*one.find(ArtifactKind::checkpoint, kId) / "weights"), "first");
}

TEST(Artifacts, ATruncatedFileIsNoArtifact) {
  const Scratch scratch;
  ArtifactCache cache(scratch.path());
  publish_text(cache, "some bytes");
  const auto folder = cache.find(ArtifactKind::checkpoint, kId);
  std::filesystem::resize_file(*folder / "weights", 3);
  EXPECT_FALSE(cache.find(ArtifactKind::checkpoint, kId));
  publish_text(cache, "again");
  EXPECT_TRUE(cache.find(ArtifactKind::checkpoint, kId));
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
  const ArtifactCache cache(scratch.path());
  const ArtifactLock held = cache.lock(kId, nullptr);
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
}

TEST(FeatureStore, MoreThanTheDiskHoldsIsAnError) {
  const Scratch scratch;
  ArtifactCache cache(scratch.path());
  EXPECT_THROW(FeatureWriter(cache, std::int64_t{1} << 40, 64), Error);
}

}  // namespace
}  // namespace nmlbench
