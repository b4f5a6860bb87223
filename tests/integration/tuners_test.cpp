// Tuners that fit in closed form or to an optimum, through the program.
#include "support/npy.h"
#include "support/program.h"
#include "support/tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kEveryOne = R"(
[matrix]
name  = "every"
seeds = [0, 1]
[[pretrain]]
encoder = { plugin = "identity" }
[[task]]
name     = "blobs"
train    = { plugin = "features", x = "x.npy", y = "y.npy" }
fraction = [0.4, 1.0]
[[task.test]]
kind = "id"
data = { plugin = "features", x = "test_x.npy", y = "test_y.npy" }
[[tuner]]
plugin = "logistic"
C = [0.01, 1.0, 100.0]
[[tuner]]
plugin = "ridge"
choose = "loo"
[[tuner]]
plugin = "knn"
k = [1, 5]
[[tuner]]
plugin = "ncm"
metric = ["cosine", "euclidean"]
)";
constexpr std::int64_t kCells = (3 + 1 + 2 + 2) * 2 * 2;

class Tuners : public ::testing::Test {
 protected:
  void SetUp() override {
    const Blobs all = make_blobs(3, 400, 12, 3, 0.4);
    write("", {all.x.slice(0, 0, 200), all.y.slice(0, 0, 200)});
    write("test_", {all.x.slice(0, 200), all.y.slice(0, 200)});
    scratch_.write("every.toml", kEveryOne);
  }
  void write(const std::string& prefix, const Blobs& blobs) {
    scratch_.write(prefix + "x.npy", npy_bytes(blobs.x.contiguous(), "<f4"));
    scratch_.write(prefix + "y.npy", npy_bytes(blobs.y.contiguous(), "<i8"));
  }
  Scratch scratch_;
};

TEST_F(Tuners, LearnAndSayHowWellTheyFit) {
  const Finished finished = run(scratch_, {"run", "every.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto db = scratch_ / "nmlbench.sqlite";
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_results WHERE metric = 'accuracy' AND value > 0.95"), kCells);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_results WHERE metric = 'loss' AND value < 2"), kCells);
  // the loss of the fitted head is a curve of one point; neighbours and class means have none
  EXPECT_EQ(count(db, "SELECT count(*) FROM curves WHERE length(loss) = 4"), (3 + 1) * 2 * 2);
  EXPECT_EQ(count(db, "SELECT count(*) FROM curves"), (3 + 1) * 2 * 2);
}

TEST_F(Tuners, OfOneStackTheSickHeadAloneFailsAndSaysWhere) {
  std::string matrix = kEveryOne;
  matrix.resize(matrix.find("[[tuner]]"));
  // a step multiplies the weights by -999
  matrix += "[[tuner]]\nplugin = \"linear-probe\"\nepochs = 20\nlr = [0.1, 1000.0]\nweight_decay = 1.0\n";
  scratch_.write("sick.toml", matrix);
  const Finished finished = run(scratch_, {"run", "sick.toml"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err,
              ::testing::ContainsRegex(
                  "training diverged: the loss of epoch [0-9]+ is -?(nan|inf), first in step [1-4]; lower lr"));
  const auto db = scratch_ / "nmlbench.sqlite";
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_cells WHERE status = 'done'"), 4);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_cells WHERE status = 'failed'"), 4);
}

TEST_F(Tuners, AreToldOfTestSamplesThatAreTrainingSamples) {
  const Blobs all = make_blobs(3, 400, 12, 3, 0.4);
  const auto said = [&] { return run(scratch_, {"run", "every.toml"}).err; };
  EXPECT_THAT(said(), Not(HasSubstr("heads have seen them")));
  write("test_", {all.x.slice(0, 150), all.y.slice(0, 150)});
  EXPECT_THAT(said(), HasSubstr("task \"blobs\": 50 of the 250 samples of test set \"test\" have the features of a"));
  EXPECT_EQ(count(scratch_ / "nmlbench.sqlite", "SELECT count(*) FROM v_log WHERE message LIKE '%50 of the 250%'"), 1);
}

TEST_F(Tuners, AreTheSameInEveryStack) {
  for (const char* heads : {"1", "16"}) {
    const std::string name = heads;
    const Finished finished = run(scratch_, {"--cache-dir", "cache" + name, "run", "every.toml", "--db",
                                             name + ".sqlite", "--stack-heads", heads});
    ASSERT_EQ(finished.status, 0) << finished.err;
  }
  EXPECT_EQ(result_rows(scratch_ / "1.sqlite"), result_rows(scratch_ / "16.sqlite"));
}

TEST_F(Tuners, OfTheReadyMatrixArePlanned) {
  const Finished finished = run(scratch_, {"plan", NMLBENCH_SOURCE_DIR "/matrices/tuners.toml", "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  constexpr std::size_t kTuners = 18, kNoises = 2, kSeeds = 2;
  EXPECT_EQ(nlohmann::json::parse(finished.out).at("cells").size(), kTuners * kNoises * kSeeds);
}

}  // namespace
}  // namespace nmlbench::testing
