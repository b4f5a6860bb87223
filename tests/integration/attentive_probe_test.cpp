// The attentive probe as a user meets it: on the tokens of a vision transformer, and on frozen ones.
#include "integration/matrices.h"
#include "support/npy.h"
#include "support/program.h"

#include <nmlbench/random.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;

// {}: the pooling. 4 x 4 patches of 8 px and a class token.
constexpr const char* kVit = R"(
[matrix]
name = "tokens"
seeds = [0]
[[pretrain]]
encoder = {{ plugin = "vit", variant = "vit_tiny", patch = 8, size = 32, pooling = "{}" }}
[[task]]
name = "general"
train = {{ plugin = "procedural", classes = 3, per_class = 24 }}
fraction = [0.5, 1.0]
[[task.test]]
kind = "id"
data = {{ plugin = "procedural", split = "test", classes = 3, per_class = 8 }}
[[tuner]]
plugin = "attentive-probe"
epochs = 3
lr = [0.001, 0.01]
[[tuner]]
plugin = "linear-probe"
epochs = 3
)";

TEST(AttentiveProbeRun, ReadsTheTokensOfAnEncoder) {
  const Scratch scratch;
  scratch.write("m.toml", fmt::format(kVit, "tokens"));
  const Finished finished = run(scratch, {"run", "m.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto rows = result_rows(scratch / "nmlbench.sqlite");
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_cells WHERE status = 'done'"), 6);
  // what a head attends to is a representation of its own
  EXPECT_EQ(count(scratch / "nmlbench.sqlite",
                  "SELECT count(DISTINCT value) FROM v_results WHERE metric = 'sve' AND tuner = 'attentive-probe'"),
            4);
  for (const auto& [db, more] : std::map<std::string, std::vector<std::string>>{
           {"single", {"--stack-heads", "1", "--threads", "1"}}, {"isolated", {"--isolate", "all"}}}) {
    std::filesystem::remove_all(scratch / "cache");
    std::vector<std::string> arguments = {"run", "m.toml", "--db", db + ".sqlite"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    ASSERT_EQ(run(scratch, arguments).status, 0) << db;
    EXPECT_EQ(result_rows(scratch / (db + ".sqlite")), rows) << db;
  }
}

// {}: the encoder, {}: parameters of the data.
constexpr const char* kOtherTokens = R"(
[matrix]
name = "tokens"
seeds = [0]
[[pretrain]]
encoder = {{ {} }}
[[task]]
name = "general"
train = {{ {} }}
[[task.test]]
kind = "id"
data = {{ {} }}
[[tuner]]
plugin = "attentive-probe"
epochs = 2
batch_size = 16
lr = [0.001, 0.01]
)";

void expect_done(const Scratch& scratch) {
  const Finished finished = run(scratch, {"run", "m.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_cells WHERE status = 'done'"), 2);
}

void expect_the_same_alone(const Scratch& scratch) {
  const Finished single = run(scratch, {"run", "m.toml", "--db", "single.sqlite", "--stack-heads", "1"});
  ASSERT_EQ(single.status, 0) << single.err;
  EXPECT_EQ(result_rows(scratch / "single.sqlite"), result_rows(scratch / "nmlbench.sqlite"));
}

std::map<std::string, double> losses(const std::filesystem::path& db) {
  const SQLite::Database database(db.string());
  SQLite::Statement query(database,
                          "SELECT json_extract(tuner_params, '$.lr'), value FROM v_results WHERE metric = 'loss'");
  std::map<std::string, double> losses;
  while (query.executeStep()) losses.emplace(query.getColumn(0).getString(), query.getColumn(1).getDouble());
  return losses;
}

TEST(AttentiveProbeRun, ReadsTheTokensOfClip) {
  const std::string data = "plugin = \"procedural\", classes = 3, per_class = 12";
  for (const char* variant : {"ViT-tiny", "RN-tiny"}) {
    SCOPED_TRACE(variant);
    const Scratch scratch;
    scratch.write("m.toml", fmt::format(kOtherTokens,
                                        fmt::format("plugin = \"clip\", variant = \"{}\", size = {}, features = "
                                                    "\"tokens\"",
                                                    variant, variant[0] == 'V' ? 32 : 64),
                                        data, data + ", split = \"test\""));
    expect_done(scratch);
    expect_the_same_alone(scratch);
  }
}

// Longer max_length: more padding, the same numbers.
TEST(AttentiveProbeRun, ReadsTheTokensOfTextsAndNoPadding) {
  const std::string golden = NMLBENCH_SOURCE_DIR "/tests/golden/text/";
  for (const std::string family : {"bert", "roberta", "gpt2"}) {
    SCOPED_TRACE(family);
    const Scratch scratch;
    for (const auto& [file, first] : {std::pair("train.csv", 0), std::pair("test.csv", 40)}) {
      std::string table = "text,label\n";
      for (int i = first; i < first + 40; ++i) {
        table += i % 2 == 0 ? "the quick brown fox" : "lazy dog";
        for (int word = 0; word < i % 5; ++word) table += " jumps over";
        table += i % 2 == 0 ? ",0\n" : ",1\n";
      }
      scratch.write(file, table);
    }
    std::map<std::string, double> rows;
    for (const int length : {24, 32}) {
      const std::string vocabulary =
          family == "bert" ? "vocab.txt" : "vocab.json\", merges = \"" + golden + "merges.txt";
      scratch.write(
          "m.toml",
          fmt::format(kOtherTokens,
                      fmt::format("plugin = \"{}\", vocab = \"{}{}\", width = 64, depth = 2, heads = 2, "
                                  "max_length = {}, pooling = \"tokens\"",
                                  family, golden, vocabulary, length),
                      "plugin = \"text-file\", path = \"train.csv\"", "plugin = \"text-file\", path = \"test.csv\""));
      expect_done(scratch);
      const std::map<std::string, double> values = losses(scratch / "nmlbench.sqlite");
      ASSERT_EQ(values.size(), 2U);
      if (length == 24) rows = values;
      if (length == 24 && family == "bert") expect_the_same_alone(scratch);
      for (const auto& [head, loss] : values) EXPECT_NEAR(loss, rows.at(head), 1e-4) << head;
      std::filesystem::remove(scratch / "nmlbench.sqlite");
    }
  }
}

TEST(AttentiveProbeRun, WithoutTokensSaysWhatIsMissing) {
  const Scratch scratch;
  scratch.write("m.toml", fmt::format(kVit, "cls"));
  const Finished finished = run(scratch, {"run", "m.toml"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("attentive-probe: the features are one vector and no tokens; give the encoder "
                                      "pooling = \"tokens\""));
  EXPECT_EQ(count(scratch / "nmlbench.sqlite",
                  "SELECT count(*) FROM v_cells WHERE status = 'done' AND tuner = 'linear-probe'"),
            2);
}

// One token of six says the class, another one in each sample: the mean drowns it.
TEST(AttentiveProbeRun, FindsTheTokenThatMatters) {
  const Scratch scratch;
  const auto write = [&](const std::string& prefix, std::int64_t n) {
    const Stream draws = Stream(5).at(prefix);
    const torch::Tensor y = draws.at("y").integers({n}, 4), place = draws.at("place").integers({n}, 6);
    const torch::Tensor classes = Stream(5).at("classes").normal({4, 16});
    torch::Tensor x = draws.at("x").normal({n, 6, 16});
    const torch::Tensor mark = torch::zeros({16}).index_fill_(0, torch::tensor(std::int64_t{3}), 5.0);
    x.index_put_({torch::arange(n), place}, classes.index_select(0, y) + mark);
    scratch.write(prefix + "x.npy", npy_bytes(x.flatten(1), "<f4"));
    scratch.write(prefix + "y.npy", npy_bytes(y, "<i8"));
  };
  write("", 600);
  write("test_", 400);
  std::string matrix = kFrozen;
  matrix.replace(matrix.find("\"identity\""), 10, "\"identity\", tokens = 6");
  matrix += "[[tuner]]\nplugin = \"attentive-probe\"\nlr = 0.01\n";
  scratch.write("m.toml", matrix);
  const Finished finished = run(scratch, {"run", "m.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto accuracy = [&](const std::string& tuner) {
    SQLite::Database database((scratch / "nmlbench.sqlite").string());
    return database.execAndGet("SELECT value FROM v_results WHERE metric = 'accuracy' AND tuner = '" + tuner + "'")
        .getDouble();
  };
  EXPECT_GT(accuracy("attentive-probe"), 0.9);
  EXPECT_GT(accuracy("attentive-probe"), accuracy("linear-probe") + 0.1);

  matrix.replace(matrix.find("tokens = 6"), 10, "tokens = 7");
  scratch.write("seven.toml", matrix);
  EXPECT_THAT(run(scratch, {"run", "seven.toml"}).err,
              HasSubstr("identity: tokens = 7 does not divide the 96 columns of the features"));
}

// What has one vector keeps its ids.
TEST(AttentiveProbeRun, OneVectorIsNoPartOfAnIdentity) {
  const Scratch scratch;
  for (const char* prefix : {"", "test_"}) {
    scratch.write(prefix + std::string("x.npy"), npy_bytes(Stream(1).normal({12, 6}), "<f4"));
    scratch.write(prefix + std::string("y.npy"), npy_bytes(torch::arange(12).remainder(2), "<i8"));
  }
  const auto ids = [&](const std::string& tokens) {
    std::string matrix = kFrozen;
    matrix.replace(matrix.find("\"identity\""), 10, "\"identity\"" + tokens);
    scratch.write("m.toml", matrix);
    const std::string plan = run(scratch, {"plan", "m.toml", "--json"}).out;
    return plan.substr(plan.find("\"cells\""), 200);
  };
  EXPECT_EQ(ids(""), ids(", tokens = 1"));
  EXPECT_NE(ids(""), ids(", tokens = 2"));
}

}  // namespace
}  // namespace nmlbench::testing
