// Texts through the program: encoded, pre-trained on with noisy labels, scored, shown; and what cannot be done to them.
#include "support/npy.h"
#include "support/program.h"

#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Sentences of twelve letters of two kinds, `odd` of them of the other one than their label: 0 for the first kind.
std::string sentences(int count, int seed, int odd = 0) {
  std::string lines = "text,label\n";
  for (int i = 0; i < count; ++i) {
    const int label = (i + seed) % 2;
    std::string sentence;
    for (int k = 0; k < 12; ++k)
      sentence += static_cast<char>(((label == 0) == (k >= odd) ? 'a' : 'n') + (i * 5 + k * 7 + seed) % 13);
    lines += fmt::format("\"{}, {}\",{}\n", sentence, i, label);
  }
  return lines;
}

constexpr const char* kMatrix = R"(
[matrix]
name = "texts"
seeds = [0, 1]
[[pretrain]]
encoder = { plugin = "char-ngrams", dim = 64 }
[[task]]
name = "letters"
train = { plugin = "text-file", path = "train.csv" }
[[task.test]]
kind = "id"
data = { plugin = "text-file", path = "test.csv", metrics = ["matthews", "f1"] }
[[task.test]]
kind = "ood"
name = "others"
data = { plugin = "text-file", path = "others.csv" }
[[tuner]]
plugin = "linear-probe"
epochs = 20
[[tuner]]
plugin = "nmtune"
epochs = 3
)";

constexpr const char* kTrained = R"(encoder = { plugin = "tiny-texts" }
dataset = { plugin = "text-file", path = "train.csv" }
noise   = { plugin = "symmetric", ratio = [0.0, 0.4] }
optim   = { epochs = 3, batch_size = 16, lr = 0.2 }
)";

class Texts : public ::testing::Test {
 protected:
  Texts() {
    scratch_.write("train.csv", sentences(300, 0));
    scratch_.write("test.csv", sentences(80, 1));
    scratch_.write("others.csv", sentences(40, 6));
  }
  static std::string with(std::string text, const std::string& old, const std::string& now) {
    const std::size_t at = text.find(old);
    EXPECT_NE(at, std::string::npos) << old;
    return text.replace(at, old.size(), now);
  }
  static std::string trained() { return with(kMatrix, "encoder = { plugin = \"char-ngrams\", dim = 64 }\n", kTrained); }
  Finished nmlbench(const std::string& matrix, std::vector<std::string> arguments = {"run", "m.toml"}) {
    scratch_.write("m.toml", matrix);
    arguments.insert(arguments.begin(), {"--plugin-dir", std::string(NMLBENCH_TEST_PLUGIN_DIR) + "/tiny_texts"});
    return testing::run(scratch_, arguments);
  }
  // The board, with the sentences of its rows as they stand in the files; at least one.
  nlohmann::json expect_quoted(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--texts", "--json"});
    const Finished finished = nmlbench(trained(), arguments);
    EXPECT_EQ(finished.status, 0) << finished.err;
    const auto board = nlohmann::json::parse(finished.out);
    EXPECT_FALSE(board.at("rows").empty());
    for (const auto& row : board.at("rows")) {
      const bool is_own = row.at("test_kind") == "id";
      std::istringstream lines(read_text(scratch_ / (is_own ? "test.csv" : "others.csv")));
      std::string line;
      for (std::int64_t i = -1; i <= row.at("sample").get<std::int64_t>(); ++i) std::getline(lines, line);
      EXPECT_EQ(line, fmt::format("\"{}\",{}", row.at("text").get<std::string>(), row.at("label").get<int>()));
    }
    return board;
  }
  double number(const std::string& sql) const {
    return SQLite::Database((scratch_ / "nmlbench.sqlite").string()).execAndGet(sql).getDouble();
  }

  Scratch scratch_;
};

TEST_F(Texts, AreEncodedAndScoredWithTheMetricsOfTheirTestSet) {
  const Finished finished = nmlbench(kMatrix);
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(number("SELECT count(*) FROM v_results WHERE metric = 'accuracy'"), 8);
  EXPECT_EQ(number("SELECT min(value) FROM v_results WHERE metric = 'accuracy' AND tuner = 'linear-probe'"), 1);
  EXPECT_EQ(number("SELECT count(*) FROM v_results WHERE metric = 'matthews'"), 4);
  EXPECT_EQ(number("SELECT min(value) FROM v_results WHERE metric IN ('matthews', 'f1') AND tuner = 'linear-probe'"),
            1);
  EXPECT_EQ(number("SELECT count(*) FROM v_predictions"), 8);
  EXPECT_EQ(number("SELECT group_concat(DISTINCT unit) = 'samples' FROM v_throughput WHERE stage = 'encode'"), 1);

  const Finished board = nmlbench(kMatrix, {"leaderboard", "--metric", "matthews"});
  ASSERT_EQ(board.status, 0) << board.err;
  EXPECT_THAT(board.out, AllOf(HasSubstr("matthews, higher is better"), HasSubstr("1.0000"),
                               HasSubstr("matthews is measured on 1 of 2 test sets")));
  const Finished accuracy = nmlbench(kMatrix, {"leaderboard"});
  EXPECT_THAT(accuracy.out, ::testing::Not(HasSubstr("is measured on")));
}

TEST_F(Texts, ARunAgainFindsItsFeatures) {
  ASSERT_EQ(nmlbench(kMatrix).status, 0);
  const auto rows = result_rows(scratch_ / "nmlbench.sqlite");
  const Finished again = nmlbench(kMatrix, {"run", "m.toml", "--db", "again.sqlite"});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(result_rows(scratch_ / "again.sqlite"), rows);
  EXPECT_EQ(count(scratch_ / "again.sqlite", "SELECT count(*) FROM v_throughput WHERE stage = 'encode'"), 0);
}

TEST_F(Texts, EncodersTrainOnThemUnderNoise) {
  const Finished finished = nmlbench(trained());
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("samples/s"));
  EXPECT_EQ(number("SELECT count(*) FROM v_noise"), 4);
  EXPECT_NEAR(number("SELECT max(realised_rate) FROM v_noise"), 0.4, 0.01);
  EXPECT_GT(number("SELECT min(value) FROM v_results WHERE metric = 'accuracy' AND tuner = 'linear-probe'"), 0.9);

  const Finished samples = nmlbench(trained(), {"show", "--samples"});
  EXPECT_EQ(samples.status, 0) << samples.err;
}

TEST_F(Texts, AreQuotedInAReport) {
  scratch_.write("test.csv", sentences(80, 1, 5));  // so hard that encoders differ
  ASSERT_EQ(nmlbench(with(trained(), "0.4]", "0.9]")).status, 0);
  const Finished report = nmlbench(trained(), {"report", "--images", "-o", "r.html"});
  ASSERT_EQ(report.status, 0) << report.err;
  EXPECT_THAT(read_text(scratch_ / "r.html"), HasSubstr("<blockquote"));
  expect_quoted({"show", "--samples"});
}

TEST_F(Texts, WhatACellGetsWrongIsQuoted) {
  scratch_.write("test.csv", sentences(80, 1, 5));
  ASSERT_EQ(nmlbench(kMatrix).status, 0);
  const std::string cell = SQLite::Database((scratch_ / "nmlbench.sqlite").string())
                               .execAndGet("SELECT cell_id FROM v_cells WHERE tuner = 'linear-probe' ORDER BY seed")
                               .getString();
  const auto board = expect_quoted({"show", cell.substr(0, 12), "--samples"});
  EXPECT_EQ(board.at("cell_id"), cell);
  EXPECT_EQ(board.at("samples"), 120);
  EXPECT_NEAR(board.at("missed").get<double>(),
              number("SELECT sum((1 - value) * iif(test_kind = 'id', 80, 40)) FROM v_results WHERE metric = 'accuracy'"
                     " AND cell_id = '" +
                     cell + "'"),
              1e-6);
  double before = 0;
  for (const auto& row : board.at("rows")) {
    EXPECT_NE(row.at("label"), row.at("predicted"));
    EXPECT_GE(row.at("p_true").get<double>(), before);
    before = row.at("p_true");
  }
  const Finished of_others = nmlbench(kMatrix, {"show", cell, "--samples", "--kind", "ood"});
  EXPECT_EQ(of_others.status, 0) << of_others.err;
  EXPECT_THAT(of_others.out, HasSubstr("of 40 samples are wrong"));
  const Finished both = nmlbench(kMatrix, {"show", cell, "--samples", "--where", "seed=0"});
  EXPECT_EQ(both.status, 2);
  EXPECT_THAT(both.err, HasSubstr("choose cells, and one is named already"));
}

TEST_F(Texts, WhatChangesImagesIsRefusedWhilePlanning) {
  const auto refusal = [&](const std::string& old, const std::string& now) {
    const Finished finished = nmlbench(with(trained(), old, now), {"plan", "m.toml"});
    EXPECT_EQ(finished.status, 2) << now;
    return finished.err;
  };
  for (const char* change :
       {"augment = \"crop\"", "jitter = 0.1", "rand_ops = 2", "mixup = 0.2", "random_erasing = 0.1"}) {
    EXPECT_THAT(refusal("lr = 0.2", std::string("lr = 0.2, ") + change),
                HasSubstr("m.toml:9:11: pretrain[0].optim: the data are texts, and `augment`, `jitter`,"));
  }
  EXPECT_THAT(refusal("train = { plugin = \"text-file\", path = \"train.csv\" }",
                      "train = { plugin = \"text-file\", path = \"train.csv\" }\nviews = { count = 2 }"),
              HasSubstr("the training split has texts, and views are of images; remove `views`"));
  EXPECT_THAT(refusal("\"symmetric\", ratio = [0.0, 0.4]",
                      "\"web\", ratio = 0.2, source = { plugin = \"text-file\", path = \"others.csv\" }"),
              HasSubstr("the data are texts, and only images or features can be replaced"));
}

TEST_F(Texts, NoiseThatLooksAtSamplesSaysThatItCannot) {
  const Finished finished = nmlbench(with(trained(), "\"symmetric\", ratio = [0.0, 0.4]", "\"instance\", ratio = 0.3"));
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("noise instance: it looks at images or features, and the data are texts; use one "
                                      "that looks at labels alone"));
}

TEST_F(Texts, EncodersOfImagesAndOfTextsSayWhatTheyWant) {
  const Finished images = nmlbench(with(kMatrix, "\"char-ngrams\", dim = 64", "\"pixels\""));
  EXPECT_NE(images.status, 0);
  EXPECT_THAT(images.err, HasSubstr("pixels encodes images, and the data are texts; use one that encodes texts"));
  const std::string world = "{ plugin = \"procedural\", classes = 2, per_class = 4 }";
  const Finished texts =
      nmlbench(with(with(with(kMatrix, "{ plugin = \"text-file\", path = \"train.csv\" }", world),
                         "{ plugin = \"text-file\", path = \"test.csv\", metrics = [\"matthews\", \"f1\"] }", world),
                    "{ plugin = \"text-file\", path = \"others.csv\" }", world));
  EXPECT_NE(texts.status, 0);
  EXPECT_THAT(texts.err, HasSubstr("char-ngrams encodes texts, and the data are images; use one that encodes images"));
  const Finished both = nmlbench(with(kMatrix, "{ plugin = \"text-file\", path = \"others.csv\" }", world));
  EXPECT_EQ(both.status, 2);
  EXPECT_THAT(both.err, HasSubstr("dataset procedural has no texts, and the training split " +
                                  (scratch_ / "train.csv").string() + " has texts"));
}

// Pairs of which as many letters are the same as their score says, in the layout of STS-B.
std::string scored_pairs(int count, int seed) {
  std::string lines = "index\tsentence1\tsentence2\tscore\n";
  for (int i = 0; i < count; ++i) {
    const int same = (i * 7 + seed) % 11;  // of 10
    const std::string first = "abcdefghij", other = "klmnopqrst";
    lines += fmt::format("{}\t{}\t{}\t{:.3f}\n", i, first, first.substr(0, same) + other.substr(same), same * 0.5);
  }
  return lines;
}

TEST_F(Texts, OfARegressionAreCorrelatedWithTheirScores) {
  scratch_.write("glue/STS-B/train.tsv", scored_pairs(220, 0));
  scratch_.write("glue/STS-B/dev.tsv", scored_pairs(55, 3));
  const std::string glue = "{ plugin = \"glue\", path = \"glue\", task = \"stsb\"";
  const std::string matrix = with(with(kMatrix, "{ plugin = \"text-file\", path = \"train.csv\" }", glue + " }"),
                                  "{ plugin = \"text-file\", path = \"test.csv\", metrics = [\"matthews\", \"f1\"] }",
                                  glue + ", split = \"dev\" }");
  const Finished finished = nmlbench(
      with(matrix, "{ plugin = \"text-file\", path = \"others.csv\" }", glue + ", split = \"dev\", limit = 20 }"));
  ASSERT_EQ(finished.status, 0) << finished.err;
  const std::string of_probes = " AND tuner = 'linear-probe' AND test_kind = 'id'";
  EXPECT_GT(number("SELECT min(value) FROM v_results WHERE metric = 'pearson'" + of_probes), 0.8);
  EXPECT_GT(number("SELECT min(value) FROM v_results WHERE metric = 'spearman'" + of_probes), 0.8);
  EXPECT_EQ(number("SELECT count(*) FROM v_results WHERE metric = 'pearson'"), 8);

  const Finished other =
      nmlbench(with(kMatrix, "{ plugin = \"text-file\", path = \"others.csv\" }", glue + ", split = \"dev\" }"));
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("has the class \"2\", and the training split"));
}

TEST_F(Texts, MakeNoSheet) {
  const Finished sheet =
      nmlbench(kMatrix, {"sheet", "text-file", "--set", "path=" + (scratch_ / "train.csv").string()});
  EXPECT_EQ(sheet.status, 2);
  EXPECT_THAT(sheet.err, HasSubstr("text-file serves texts; a sheet needs images"));
}

TEST_F(Texts, FeaturesAreExported) {
  const Finished finished = nmlbench(kMatrix, {"features", "m.toml", "-o", "out"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto index = nlohmann::json::parse(read_text(scratch_ / "out/index.json"));
  const torch::Tensor x =
      read_npy_file(scratch_ / ("out/" + index.at("checkpoints")[0].at("splits")[0].at("x").get<std::string>()));
  EXPECT_EQ(x.sizes(), torch::IntArrayRef({300, 64}));
  EXPECT_TRUE(torch::allclose(x.norm(2, 1), torch::ones({300}), 1e-5, 1e-5));
}

}  // namespace
}  // namespace nmlbench::testing
