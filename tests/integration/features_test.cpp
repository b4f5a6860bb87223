// `nmlbench features`, and matrices on frozen features.
#include "integration/matrices.h"
#include "support/npy.h"
#include "support/program.h"
#include "support/tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

void write_blobs(const Scratch& scratch, const std::string& prefix, const Blobs& blobs) {
  scratch.write(prefix + "x.npy", npy_bytes(blobs.x, "<f4"));
  scratch.write(prefix + "y.npy", npy_bytes(blobs.y, "<i8"));
}

Blobs half(const Blobs& all, bool first) {
  const std::int64_t n = all.y.size(0) / 2;
  return {all.x.slice(0, first ? 0 : n, first ? n : 2 * n), all.y.slice(0, first ? 0 : n, first ? n : 2 * n)};
}

class Frozen : public ::testing::Test {
 protected:
  void SetUp() override {
    const Blobs all = make_blobs(3, 400, 12, 3, 0.4);
    train_ = half(all, true);
    test_ = half(all, false);
    write_blobs(scratch_, "", train_);
    write_blobs(scratch_, "test_", test_);
    scratch_.write("frozen.toml", kFrozen);
  }
  Scratch scratch_;
  Blobs train_, test_;
};

TEST_F(Frozen, AProbeLearnsThem) {
  const Finished finished = run(scratch_, {"run", "frozen.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(
      count(scratch_ / "nmlbench.sqlite", "SELECT count(*) FROM v_results WHERE metric = 'accuracy' AND value > 0.95"),
      1);
}

TEST_F(Frozen, ReachTheTunerUntouched) {
  const Finished finished = run(scratch_, {"features", "frozen.toml", "-o", "out"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto index = nlohmann::json::parse(read_text(scratch_ / "out/index.json"));
  const auto& checkpoint = index.at("checkpoints").at(0);
  const std::string folder = "out/" + checkpoint.at("id").get<std::string>();
  EXPECT_TRUE(torch::equal(read_npy_file(scratch_ / (folder + "/blobs-train_x.npy")), train_.x));
  EXPECT_TRUE(torch::equal(read_npy_file(scratch_ / (folder + "/blobs-test_y.npy")), test_.y));
  EXPECT_EQ(checkpoint.at("splits").size(), 2U);
}

TEST_F(Frozen, LabelsOfOneClassAreNoTask) {
  scratch_.write("y.npy", npy_bytes(torch::full_like(train_.y, 2), "<i8"));
  const Finished finished = run(scratch_, {"run", "frozen.toml"});
  EXPECT_EQ(finished.status, 2) << "nothing can run";
  EXPECT_THAT(finished.err, HasSubstr("one class only (all labels are 2), so there is nothing to learn"));
}

TEST_F(Frozen, FilesOfTwoTasksNeverHaveOneName) {
  std::string text = kFrozen;
  const std::size_t task = text.find("[[task]]"), end = text.find("[[tuner]]");
  std::string second = text.substr(task, end - task);
  second.replace(second.find("blobs"), 5, "a_b");
  second.insert(second.find(" }"), ", limit = 50");
  text.insert(end, second);
  text.replace(text.find("blobs"), 5, "a/b");
  scratch_.write("two.toml", text);
  const Finished finished = run(scratch_, {"features", "two.toml", "-o", "out"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("a_b-train_x.npy"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "out"));
}

// Views of images under the encoder `pixels`, so that they can be told from outside.
class ImageViews : public ::testing::Test {
 protected:
  // Features [rows, D] of the training split.
  torch::Tensor features(const std::string& views) {
    scratch_.write("views.toml", R"(
[matrix]
name = "views"
seeds = [0]
[[pretrain]]
encoder = { plugin = "pixels" }
[[task]]
name  = "shapes"
train = { plugin = "procedural", classes = 4, per_class = 75 }
)" + views + R"(
[[task.test]]
kind = "id"
data = { plugin = "procedural", split = "test", classes = 4, per_class = 5 }
[[tuner]]
plugin = "nmtune"
epochs = 2
)");
    const Finished finished = run(scratch_, {"features", "views.toml", "-o", "out"});
    EXPECT_EQ(finished.status, 0) << finished.err;
    const auto index = nlohmann::json::parse(read_text(scratch_ / "out/index.json"));
    const std::string folder = "out/" + index.at("checkpoints").at(0).at("id").get<std::string>();
    labels_ = read_npy_file(scratch_ / (folder + "/shapes-train_y.npy"));
    return read_npy_file(scratch_ / (folder + "/shapes-train_x.npy"));
  }
  Scratch scratch_;
  torch::Tensor labels_;
};

TEST_F(ImageViews, FollowOneAnother) {
  const torch::Tensor plain = features("");
  const torch::Tensor same = features("views = { count = 3, augment = \"none\" }");
  EXPECT_TRUE(torch::equal(same, plain.repeat({3, 1})));
  EXPECT_EQ(labels_.size(0), 900);
}

TEST_F(ImageViews, DifferAndAreTheSameAgain) {
  const torch::Tensor plain = features("");
  const torch::Tensor crops = features("views = { count = 2 }");
  const torch::Tensor first = crops.slice(0, 0, 300), second = crops.slice(0, 300);
  EXPECT_FALSE(torch::equal(first, plain));
  EXPECT_FALSE(torch::equal(first, second));
  // a crop of four fifths or more, or its mirror image, still resembles the image more than the next one does
  const torch::Tensor mirrored = plain.view({300, 3, 32, 32}).flip(3).reshape({300, -1});
  const auto distance = [&](const torch::Tensor& to) { return (first - to).square().mean(1); };
  const torch::Tensor own = torch::minimum(distance(plain), distance(mirrored));
  EXPECT_GT((own < distance(plain.roll(1, 0))).to(torch::kFloat32).mean().item<float>(), 0.9F);
  std::filesystem::remove_all(scratch_ / "cache");
  EXPECT_TRUE(torch::equal(features("views = { count = 2 }"), crops));
}

TEST_F(ImageViews, TheSecondHalfIsTheStrongOne) {
  const torch::Tensor plain = features("");
  const torch::Tensor views = features("views = { count = 2, augment = \"none\", pairs = true, strong_jitter = 0.5 }");
  EXPECT_TRUE(torch::equal(views.slice(0, 0, 300), plain));
  EXPECT_GT((views.slice(0, 300) - plain).abs().mean().item<float>(), 0.02F);
}

TEST_F(ImageViews, OfTheOriginalImageAreWeakAndStrong) {
  const torch::Tensor plain = features("");
  const std::string views = "views = { count = 2, pairs = true, augment = \"photo-crop\", crop_scale = [1.0, 1.0]";
  const torch::Tensor weak = features(views + " }"), strong = features(views + ", strong_ops = 3 }");
  EXPECT_TRUE(torch::equal(weak.slice(0, 0, 300), strong.slice(0, 0, 300)));
  const auto apart = [](const torch::Tensor& a, const torch::Tensor& b) { return (a - b).abs().mean().item<float>(); };
  EXPECT_GT(apart(strong.slice(0, 300), weak.slice(0, 300)), 0.02F);
  EXPECT_LT(apart(weak.slice(0, 0, 300), plain), apart(weak.slice(0, 0, 300), plain.roll(1, 0)));
  std::filesystem::remove_all(scratch_ / "cache");
  EXPECT_TRUE(torch::equal(features(views + ", strong_ops = 3 }"), strong));
}

TEST_F(ImageViews, TuneInPairs) {
  features("views = { count = 4, pairs = true }");
  const Finished finished = run(scratch_, {"run", "views.toml"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(count(scratch_ / "nmlbench.sqlite", "SELECT count(*) FROM v_results WHERE metric = 'accuracy'"), 1);
}

TEST_F(ImageViews, AreCheckedBeforeAnythingRuns) {
  features("");
  const std::string matrix = read_text(scratch_ / "views.toml");
  const auto with = [&](const std::string& views) {
    std::string text = matrix;
    text.insert(text.find("[[task.test]]"), views + "\n");
    scratch_.write("bad.toml", text);
    return run(scratch_, {"run", "bad.toml"});
  };
  EXPECT_THAT(with("views = { count = 1, pairs = true }").err, HasSubstr("count of 2 or more"));
  EXPECT_THAT(with("views = { counts = 3 }").err, HasSubstr("bad.toml:11:"));
  EXPECT_THAT(with("views = { count = [2, 3] }").err, HasSubstr("axis"));
  EXPECT_THAT(with("views = { crop_scale = [0.9, 0.8] }").err, HasSubstr("crop_scale"));
  EXPECT_EQ(with("views = 3").status, 2);
}

TEST_F(Frozen, HaveNoViews) {
  std::string matrix = kFrozen;
  matrix.insert(matrix.find("[[task.test]]"), "views = { count = 2 }\n");
  scratch_.write("frozen.toml", matrix);
  const Finished finished = run(scratch_, {"run", "frozen.toml"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("views are of images"));
}

TEST_F(Frozen, WithNaNFailWithTheirPlace) {
  Blobs bad = train_;
  bad.x = bad.x.clone();
  bad.x[17][4] = NAN;
  write_blobs(scratch_, "", bad);
  const Finished finished = run(scratch_, {"run", "frozen.toml"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("x.npy: row 17, column 4"));
}

TEST_F(Frozen, ARepairedFileReplacesTheFailedCell) {
  std::string matrix = kFrozen;
  matrix +=
      "\n[[task]]\nname = \"other\"\ntrain = { plugin = \"features\", x = \"other_x.npy\", y = \"other_y.npy\" }\n"
      "[[task.test]]\nkind = \"id\"\ndata = { plugin = \"features\", x = \"test_x.npy\", y = \"test_y.npy\" }\n";
  scratch_.write("frozen.toml", matrix);
  EXPECT_EQ(run(scratch_, {"run", "frozen.toml"}).status, 1);
  write_blobs(scratch_, "other_", train_);
  EXPECT_EQ(run(scratch_, {"run", "frozen.toml"}).status, 0);
  EXPECT_EQ(count(scratch_ / "nmlbench.sqlite", "SELECT count(*) FROM v_results WHERE status = 'failed'"), 0);
}

TEST_F(Frozen, ATestLabelOutsideTheTrainingClassesIsRefusedBeforeAnyTraining) {
  Blobs more = test_;
  more.y = more.y.clone();
  more.y[3] = 7;
  write_blobs(scratch_, "test_", more);
  const Finished finished = run(scratch_, {"run", "frozen.toml"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err,
              AllOf(HasSubstr("frozen.toml:"), HasSubstr("has labels up to 7"), HasSubstr("classes only")));
}

TEST(Features, OfPixelsAreTheImageItself) {
  const Scratch scratch;
  scratch.write("pixels.toml", R"(
[matrix]
name = "pixels"
seeds = [0]
[[pretrain]]
encoder = { plugin = "pixels" }
[[task]]
name  = "digits"
train = { plugin = "idx", path = "digits" }
[[task.test]]
kind = "id"
data = { plugin = "idx", path = "digits" }
)");
  const std::string image_header("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03", 16);
  scratch.write("digits/train-images-idx3-ubyte",
                image_header + std::string("\x00\x01\x02\x03\x04\x05\xfa\xfb\xfc\xfd\xfe\xff", 12));
  scratch.write("digits/train-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\0\x02\x00\x01", 10));
  const Finished finished = run(scratch, {"features", "pixels.toml", "-o", "out"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto index = nlohmann::json::parse(read_text(scratch / "out/index.json"));
  const torch::Tensor x =
      read_npy_file(scratch / ("out/" + index.at("checkpoints")[0].at("splits")[0].at("x").get<std::string>()));
  const torch::Tensor bytes = torch::tensor({{0, 1, 2, 3, 4, 5}, {250, 251, 252, 253, 254, 255}}, torch::kFloat32);
  EXPECT_TRUE(torch::equal(x, bytes / 255));
}

}  // namespace
}  // namespace nmlbench::testing
