// Features that others froze, with the noise that their encoders were pre-trained with.
#include "support/npy.h"
#include "support/program.h"
#include "support/tuning.h"

#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kStated = R"(
[matrix]
name = "cars"
seeds = [0, 1, 2]

[[pretrain]]
encoder = { plugin = "identity" }
stated = { encoder = "resnet50", dataset = "imagenet-1k", noise = "symmetric", noise_ratio = [0, 0.1, 0.3], realised_rate = [0, 0.09, 0.27] }

[[task]]
name = "cars"
train = { plugin = "features", x = "{encoder}_n{noise_ratio}_s{seed}_train.npy", y = "train_y.npy" }
[[task.test]]
kind = "id"
data = { plugin = "features", x = "{encoder}_n{noise_percent}_s{seed}_test.npy", y = "test_y.npy" }

[[tuner]]
plugin = "linear-probe"
epochs = 30
lr = 0.1
)";

class StatedTest : public ::testing::Test {
 protected:
  // Every level and seed has features of its own, the worse the more noise.
  void SetUp() override {
    const Blobs all = make_blobs(7, 300, 8, 4, 0.3);
    for (const std::uint64_t seed : {0, 1, 2}) {
      for (const int percent : {0, 10, 30}) {
        const torch::Tensor x = all.x + Stream(seed).at(percent).normal(all.x.sizes()) * (0.1 + percent / 10.0);
        write(fmt::format("resnet50_n{}_s{}_train.npy", percent / 100.0, seed), x.slice(0, 0, 200), "<f4");
        write(fmt::format("resnet50_n{}_s{}_test.npy", percent, seed), x.slice(0, 200), "<f4");
      }
    }
    write("train_y.npy", all.y.slice(0, 0, 200), "<i8");
    write("test_y.npy", all.y.slice(0, 200), "<i8");
  }
  void write(const std::string& name, const torch::Tensor& tensor, const char* type) {
    scratch_.write(name, npy_bytes(tensor, type));
  }
  static std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    if (at == std::string::npos) throw std::runtime_error("the matrix has no " + from);
    return text.substr(0, at) + to + text.substr(at + from.size());
  }
  static std::string with(const std::string& from, const std::string& to) { return replaced(kStated, from, to); }
  Finished run_matrix(const std::string& text) {
    scratch_.write("m.toml", text);
    return run(scratch_, {"run", "m.toml"});
  }
  std::string query(const std::string& sql) {
    SQLite::Database db((scratch_ / "nmlbench.sqlite").string());
    std::string rows;
    SQLite::Statement statement(db, sql);
    while (statement.executeStep()) {
      for (int i = 0; i < statement.getColumnCount(); ++i)
        rows += fmt::format("{}{}", i > 0 ? "|" : "", statement.getColumn(i).getString());
      rows += "\n";
    }
    return rows;
  }

  Scratch scratch_;
};

TEST_F(StatedTest, LevelsShareATaskAndEveryBoardKnowsThem) {
  const Finished finished = run_matrix(kStated);
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(query("SELECT DISTINCT encoder, pretrain_dataset, noise, noise_ratio, realised_rate, provenance, task FROM "
                  "v_results ORDER BY noise_ratio"),
            "resnet50|imagenet-1k|symmetric|0.0|0.0|stated|cars\nresnet50|imagenet-1k|symmetric|0.1|0.09|stated|cars\n"
            "resnet50|imagenet-1k|symmetric|0.3|0.27|stated|cars\n");
  EXPECT_EQ(query("SELECT count(DISTINCT checkpoint_id), count(*) FROM v_cells"), "9|9\n");
  const std::string by_level = "SELECT avg(value) FROM v_results WHERE metric = 'accuracy' AND noise_ratio = ";
  EXPECT_GT(std::stod(query(by_level + "0")), std::stod(query(by_level + "0.3")) + 0.1);
  EXPECT_EQ(
      query("SELECT encoder, noise_ratio, realised_rate, provenance, count(*), count(transition) FROM v_noise GROUP BY "
            "noise_ratio"),
      "resnet50|0.0|0.0|stated|3|0\nresnet50|0.1|0.09|stated|3|0\nresnet50|0.3|0.27|stated|3|0\n");
  const Finished effect = run(scratch_, {"leaderboard", "--noise-effect", "--format", "csv"});
  EXPECT_EQ(effect.status, 0) << effect.err;
  EXPECT_THAT(effect.out, HasSubstr("linear-probe"));
}

TEST_F(StatedTest, ARateThatIsStatedLaterIsTakenOver) {
  ASSERT_EQ(run_matrix(with(", realised_rate = [0, 0.09, 0.27]", "")).status, 0);
  EXPECT_EQ(query("SELECT count(*), count(realised_rate) FROM v_noise"), "9|0\n");
  const Finished again = run_matrix(kStated);
  EXPECT_THAT(again.err, HasSubstr("0 cells done"));  // the rate is no part of a cell's identity
  EXPECT_EQ(query("SELECT count(*), count(realised_rate) FROM v_noise"), "9|9\n");
}

// A matrix that is edited leaves its old cells behind; edited back, it has them again.
TEST_F(StatedTest, BoardsAnswerForTheMatrixAsItIs) {
  ASSERT_EQ(run_matrix(kStated).status, 0);
  ASSERT_EQ(run_matrix(with("epochs = 30", "epochs = 20")).status, 0);
  EXPECT_EQ(query("SELECT sum(superseded), count(*) FROM v_cells"), "9|18\n");
  const Finished newest = run(scratch_, {"leaderboard"}), all = run(scratch_, {"leaderboard", "--all"});
  EXPECT_THAT(newest.out, AllOf(HasSubstr("9 cells that the newest plan"), Not(HasSubstr("epochs=30"))));
  EXPECT_THAT(all.out, AllOf(Not(HasSubstr("newest plan")), HasSubstr("epochs=30"), HasSubstr("epochs=20")));
  ASSERT_EQ(run_matrix(kStated).status, 0);
  EXPECT_EQ(query("SELECT json_extract(tuner_params, '$.epochs'), superseded FROM v_cells GROUP BY 1"), "20|1\n30|0\n");
  const Finished shard = run(scratch_, {"run", "m.toml", "--shard", "1/3"});  // what other shards have is planned, too
  EXPECT_EQ(shard.status, 0) << shard.err;
  EXPECT_EQ(query("SELECT sum(superseded) FROM v_cells"), "9\n");
}

TEST_F(StatedTest, WhatIsNotStatedIsUnknown) {
  std::string text = with(
      "stated = { encoder = \"resnet50\", dataset = \"imagenet-1k\", noise = \"symmetric\", noise_ratio = "
      "[0, 0.1, 0.3], realised_rate = [0, 0.09, 0.27] }\n",
      "");
  const std::pair<std::string, std::string> files[] = {
      {"{encoder}_n{noise_ratio}_s{seed}_train", "resnet50_n0.1_s0_train"},
      {"{encoder}_n{noise_percent}_s{seed}_test", "resnet50_n10_s0_test"}};
  for (const auto& [pattern, name] : files) text = replaced(text, pattern, name);
  ASSERT_EQ(run_matrix(text).status, 0);
  EXPECT_EQ(
      query("SELECT DISTINCT encoder, pretrain_dataset, noise, noise_ratio IS NULL, realised_rate IS NULL, provenance "
            "FROM v_results"),
      "identity|||1|1|\n");
  EXPECT_EQ(run(scratch_, {"leaderboard", "--where", "noise_ratio=0"}).status, 2);
}

TEST_F(StatedTest, ACopiedFileIsNoSecondLevel) {
  std::filesystem::copy_file(scratch_ / "resnet50_n0.1_s1_train.npy", scratch_ / "resnet50_n0.3_s1_train.npy",
                             std::filesystem::copy_options::overwrite_existing);
  const Finished finished = run_matrix(kStated);
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("m.toml:"), HasSubstr("same training features"), HasSubstr("0.1 seed 1"),
                                  HasSubstr("0.3 seed 1")));
}

TEST_F(StatedTest, MistakesAreNamedWithTheirPlace) {
  const auto error = [&](const std::string& from, const std::string& to) {
    const Finished finished = run_matrix(with(from, to));
    EXPECT_EQ(finished.status, 2) << finished.err;
    return finished.err;
  };
  EXPECT_THAT(error("{encoder}_n{noise_ratio}", "{encoder}_n{noise_ration}"),
              AllOf(HasSubstr("m.toml:"), HasSubstr("{noise_ration}"), HasSubstr("{noise_ratio}")));
  EXPECT_THAT(error(", noise = \"symmetric\", noise_ratio = [0, 0.1, 0.3], realised_rate = [0, 0.09, 0.27]", ""),
              AllOf(HasSubstr("cannot be filled in"), HasSubstr("says nothing of {noise} {noise_ratio}")));
  EXPECT_THAT(error("realised_rate = [0, 0.09, 0.27]", "realised_rate = 0.1"), HasSubstr("1 realised_rate for 3"));
  EXPECT_THAT(error("noise = \"symmetric\", ", ""), HasSubstr("noise_ratio of no noise"));
  EXPECT_THAT(error("[0, 0.1, 0.3]", "[0, 10, 30]"), HasSubstr("outside [0, 1]"));
  EXPECT_THAT(error("_n{noise_ratio}_s{seed}_train", "_n0.1_s{seed}_train"), HasSubstr("same training features"));
  // a head of one encoder would be tested on the features of another
  EXPECT_THAT(error("_n{noise_percent}_s{seed}_test", "_n10_s{seed}_test"),
              AllOf(HasSubstr("m.toml:"), HasSubstr("same features of test set \"test\""), HasSubstr("0 seed 0"),
                    HasSubstr("0.1 seed 0")));
  EXPECT_THAT(error("_n{noise_percent}_s{seed}_test", "_n{noise_percent}_s0_test"),
              HasSubstr("same features of test set"));
  EXPECT_THAT(error("stated = {", "dataset = { plugin = \"procedural\" }\nstated = {"), HasSubstr("remove one"));
  EXPECT_THAT(error("stated = { encoder", "noise = { plugin = \"symmetric\" }\n#"), HasSubstr("stated = {"));
  EXPECT_THAT(error("stated = { encoder", "#"), HasSubstr("names coordinates of a checkpoint"));
}

}  // namespace
}  // namespace nmlbench::testing
