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

TEST_F(Frozen, ATestLabelOutsideTheTrainingClassesFailsTheCell) {
  Blobs more = test_;
  more.y = more.y.clone();
  more.y[3] = 7;
  write_blobs(scratch_, "test_", more);
  const Finished finished = run(scratch_, {"run", "frozen.toml"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("has label 7"));
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
