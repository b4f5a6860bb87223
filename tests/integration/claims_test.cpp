// Seeds until claims are decided: [stop], `nmlbench claims`, shards.
#include "integration/matrices.h"
#include "support/npy.h"
#include "support/program.h"

#include <algorithm>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Frozen features on which a probe's learning rate decides much (0.05 against 0.0002) and its weight decay nothing
// that matters.
constexpr const char* kProbes = R"(
[matrix]
name = "probes"
seeds = [0, 1, 2]

[[pretrain]]
encoder = { plugin = "identity" }

[[task]]
name  = "clouds"
train = { plugin = "features", x = "x.npy", y = "y.npy" }
fraction = 0.5
[[task.test]]
kind = "id"
data = { plugin = "features", x = "test_x.npy", y = "test_y.npy" }

[[tuner]]
plugin = "linear-probe"
epochs = 40
lr = [0.0002, 0.05]
[[tuner]]
plugin = "linear-probe"
epochs = 40
lr = 0.04

[stop]
claim = [
  "linear-probe (lr=0.05) > linear-probe (lr=0.0002) on id",
  "linear-probe (lr=0.0002) > linear-probe (lr=0.04) on id",
  "linear-probe (lr=0.04) > linear-probe (lr=0.05) on id",
]
effect = 2
max_seeds = 30
batch = 4
)";

// Overlapping clouds of three classes in 8 dimensions.
void write_clouds(const Scratch& scratch, const std::string& prefix, std::int64_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  torch::Tensor x = torch::empty({n, 8}), y = torch::empty({n}, torch::kInt64);
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = i % 3;
    for (std::int64_t d = 0; d < 8; ++d) x[i][d] = normal(random) + (d == i % 3 ? 1.5F : 0.0F);
  }
  scratch.write(prefix + "x.npy", npy_bytes(x, "<f4"));
  scratch.write(prefix + "y.npy", npy_bytes(y, "<i8"));
}

class Stop : public ::testing::Test {
 protected:
  void SetUp() override {
    write_clouds(scratch_, "", 600, 1);
    write_clouds(scratch_, "test_", 900, 2);
    scratch_.write("probes.toml", kProbes);
  }
  nlohmann::json claims(const std::string& db = "nmlbench.sqlite") {
    const Finished finished = run(scratch_, {"claims", "--db", db, "--json"});
    EXPECT_EQ(finished.status, 0) << finished.err;
    return nlohmann::json::parse(finished.out);
  }
  std::int64_t seeds(const std::string& db = "nmlbench.sqlite") {
    return count(scratch_ / db, "SELECT count(DISTINCT seed) FROM cells WHERE NOT superseded");
  }
  static std::vector<std::string> verdicts(const nlohmann::json& board) {
    std::vector<std::string> verdicts;
    for (const auto& row : board.at("rows")) verdicts.push_back(row.at("verdict"));
    return verdicts;
  }
  const std::vector<std::string> expected_{"supported", "refuted", "no difference that matters"};
  Scratch scratch_;
};

TEST_F(Stop, RunsUntilATrueAFalseAndANullClaimAreDecided) {
  const Finished finished = run(scratch_, {"run", "probes.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, AllOf(HasSubstr("claims about accuracy"), HasSubstr("no difference that matters")));
  const nlohmann::json board = claims();
  EXPECT_EQ(verdicts(board), expected_);
  EXPECT_TRUE(board.at("decided"));
  // at 5 % / 3 no interval is bounded before 6 seeds, so that 3 are too few and 7 the first that can do
  EXPECT_GE(seeds(), 7);
  EXPECT_LE(seeds(), 15);
  EXPECT_EQ((seeds() - 3) % 4, 0);
  EXPECT_EQ(board.at("rows").at(0).at("seeds"), seeds());

  const Finished again = run(scratch_, {"run", "probes.toml"});
  EXPECT_EQ(again.status, 0);
  EXPECT_THAT(again.err, HasSubstr("0 cells done, 0 failed"));
  EXPECT_EQ(claims().at("rows"), board.at("rows"));
  const Finished report = run(scratch_, {"report", "-o", "r.html"});
  EXPECT_EQ(report.status, 0) << report.err;
  EXPECT_THAT(read_text(scratch_ / "r.html"), HasSubstr("Claims: probes"));
  const Finished verified = run(scratch_, {"verify", "nmlbench.sqlite", "--cells", "40", "--seed", "1"});
  EXPECT_EQ(verified.status, 0) << verified.out << verified.err;
}

TEST_F(Stop, GoesOnFromTheSeedsThatThereAreAndEndsAtMaxSeeds) {
  ASSERT_EQ(run(scratch_, {"run", "probes.toml", "--set", "stop.max_seeds=5"}).status, 0);
  EXPECT_EQ(seeds(), 5);
  EXPECT_THAT(run(scratch_, {"claims"}).out,
              AllOf(HasSubstr("Undecided with max_seeds = 5"), HasSubstr("no interval before 6 seeds")));
  const Finished more = run(scratch_, {"run", "probes.toml"});
  ASSERT_EQ(more.status, 0) << more.err;
  EXPECT_THAT(more.err, HasSubstr("6 cells done, 0 failed, 15 known before"));  // the whole batch
  EXPECT_EQ(verdicts(claims()), expected_);
}

TEST_F(Stop, ShardsMergedAfterEachBatchComeToTheSame) {
  ASSERT_EQ(run(scratch_, {"run", "probes.toml", "--db", "whole.sqlite"}).status, 0);
  std::int64_t planned = 3;
  int rounds = 0;
  for (; rounds < 8; ++rounds) {
    for (const char* shard : {"1/2", "2/2"}) {
      const Finished finished =
          run(scratch_, {"run", "probes.toml", "--shard", shard, "--db", fmt::format("part{}.sqlite", shard[0]),
                         "--set", fmt::format("stop.seeds={}", planned)});
      ASSERT_EQ(finished.status, 0) << finished.err;
      EXPECT_THAT(finished.err, HasSubstr("a part of a run decides no claim"));
    }
    if (rounds == 0) {
      EXPECT_THAT(run(scratch_, {"claims", "--db", "part1.sqlite"}).err, HasSubstr("are not here: merge all shards"));
    }
    ASSERT_EQ(run(scratch_, {"merge", "merged.sqlite", "part1.sqlite", "part2.sqlite"}).status, 0);
    const nlohmann::json board = claims("merged.sqlite");
    EXPECT_EQ(board.at("missing_cells"), 0);
    if (board.at("next_seeds").is_null()) break;
    planned = board.at("next_seeds");
  }
  EXPECT_LT(rounds, 8);
  EXPECT_EQ(result_rows(scratch_ / "merged.sqlite"), result_rows(scratch_ / "whole.sqlite"));
  EXPECT_EQ(claims("merged.sqlite").at("rows"), claims("whole.sqlite").at("rows"));
  // what a shard has computed stays its own
  EXPECT_EQ(count(scratch_ / "part1.sqlite", "SELECT count(*) FROM cells") +
                count(scratch_ / "part2.sqlite", "SELECT count(*) FROM cells"),
            count(scratch_ / "merged.sqlite", "SELECT count(*) FROM cells"));
}

// Neither heads nor trials of earlier batches are fitted again, though all could share a stack with the new ones.
TEST_F(Stop, ABatchTrainsItsOwnSeedsAlone) {
  std::string matrix = kProbes;
  matrix.replace(matrix.find("claim = ["), matrix.find("effect") - matrix.find("claim = ["),
                 "claim = \"linear-probe (lr=[0.0002,0.05]) > linear-probe (lr=0.04) on id\"\n");
  matrix.insert(matrix.find("[stop]"), "[selection]\nover = [\"lr\"]\n\n");
  scratch_.write("probes.toml", matrix);
  const auto steps = [&](const char* most) {
    const Finished finished =
        run(scratch_, {"run", "probes.toml", "--stack-heads", "64", "--set", fmt::format("stop.max_seeds={}", most)});
    EXPECT_EQ(finished.status, 0) << finished.err;
    return count(scratch_ / "nmlbench.sqlite", "SELECT total(items) FROM v_throughput WHERE stage = 'tune'");
  };
  const std::int64_t of_three = steps("3");
  EXPECT_GT(of_three, 0);
  EXPECT_EQ(of_three % 3, 0);
  EXPECT_EQ(steps("7"), of_three / 3 * 7);
}

// A task that cannot be read fails in every seed.
TEST_F(Stop, WhereNoSeedCountsItEndsWithStatus1) {
  std::string matrix = kProbes;
  matrix.insert(matrix.find("[[tuner]]"),
                "[[task]]\nname = \"digits\"\ntrain = { plugin = \"idx\", path = \"nowhere\" }\n"
                "[[task.test]]\nkind = \"id\"\ndata = { plugin = \"idx\", path = \"nowhere\", split = \"test\" }\n\n");
  scratch_.write("probes.toml", matrix);
  const Finished finished = run(scratch_, {"run", "probes.toml"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("more seeds would be in vain"));
  EXPECT_THAT(finished.out, HasSubstr("do not count: 3"));
  EXPECT_EQ(seeds(), 3);
}

TEST_F(Stop, ClaimsAreAskedOfAnyDatabase) {
  ASSERT_EQ(run(scratch_, {"run", "probes.toml"}).status, 0);
  const Finished asked = run(scratch_, {"claims", "--claim", "linear-probe (lr=0.05) > linear-probe (lr=0.0002) on id",
                                        "--level", "0.01", "--format", "csv"});
  EXPECT_EQ(asked.status, 0) << asked.err;
  EXPECT_THAT(asked.out, HasSubstr("on id,supported,"));
  EXPECT_THAT(run(scratch_, {"claims", "--claim", "linear-probe (lr=0.05) > x on id"}).err,
              HasSubstr("no tuner \"x\""));
  EXPECT_EQ(run(scratch_, {"claims", "--claim", "nonsense"}).status, 2);
  EXPECT_NE(run(scratch_, {"claims", "--level", "0.1"}).status, 0);
  EXPECT_THAT(run(scratch_, {"claims", "--matrix", "other"}).err, HasSubstr("no [stop]"));
}

TEST_F(Stop, AMistakeInAClaimIsToldBeforeAnythingRuns) {
  const Finished finished =
      run(scratch_, {"run", "probes.toml", "--set", "stop.claim=[\"linear-prob > linear-probe on id\"]"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("stop.claim"), HasSubstr("did you mean \"linear-probe\"")));
  const Finished label = run(scratch_, {"run", "probes.toml", "--set",
                                        "stop.claim=[\"linear-probe (lr=0.050) > linear-probe (lr=0.04) on id\"]"});
  EXPECT_EQ(label.status, 2);
  EXPECT_THAT(label.err, HasSubstr("linear-probe has several settings; name one: linear-probe (lr=0.0002) | "
                                   "linear-probe (lr=0.04) | linear-probe (lr=0.05)"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "nmlbench.sqlite"));
}

}  // namespace
}  // namespace nmlbench::testing
