// `plan --estimate`: counts are those of the run that follows, and hours those of a rate that is named.
#include "integration/matrices.h"
#include "support/program.h"

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Two fractions that no class divides, grids with held-out rows, a fine-tuning, and an upstream accuracy.
std::string costly() {
  std::string text = kTiny;
  const auto insert = [&text](const std::string& before, const std::string& what) {
    text.insert(text.find(before), what);
  };
  insert("noise   =", "validation = { plugin = \"procedural\", split = \"validation\", classes = 4, per_class = 5 }\n");
  insert("[[task.test]]", "fraction = [0.33, 1.0]\n");
  return text +
         "[[tuner]]\nplugin = \"linear-probe\"\nepochs = 4\nlr = [0.1, 0.001]\n"
         "[[tuner]]\nplugin = \"ridge\"\n"
         "[[tuner]]\nplugin = \"full-finetune\"\nepochs = 2\nbatch_size = 32\nlr = 0.003\n"
         "[selection]\nover = [\"lr\"]\nrule = \"k-fold\"\nfolds = 3\n";
}

class Estimates : public ::testing::Test {
 protected:
  fs::path db() const { return scratch_ / "nmlbench.sqlite"; }
  double number(const std::string& sql) const { return SQLite::Database(db().string()).execAndGet(sql).getDouble(); }
  void change(const std::string& sql) const { SQLite::Database(db().string(), SQLite::OPEN_READWRITE).exec(sql); }

  json estimate(std::vector<std::string> more) const {
    more.insert(more.begin(), {"plan", "m.toml", "--estimate", "--json"});
    const Finished finished = run(scratch_, more);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return json::parse(finished.out).at("estimate");
  }
  static double items(const json& estimate, const std::string& stage, const std::string& unit = "") {
    double sum = 0;
    for (const json& line : estimate.at("stages")) {
      if (line.at("stage") == stage && (unit.empty() || line.at("unit") == unit)) sum += line.at("items").get<double>();
    }
    return sum;
  }
  // Of the files of this name in the cache: how many, and their bytes.
  std::pair<std::int64_t, std::int64_t> files(const std::string& part, const std::string& name) const {
    std::pair<std::int64_t, std::int64_t> sum;
    for (const auto& entry : fs::recursive_directory_iterator(scratch_ / "cache" / part)) {
      if (!entry.is_regular_file() || (!name.empty() && entry.path().filename() != name)) continue;
      ++sum.first;
      sum.second += static_cast<std::int64_t>(entry.file_size());
    }
    return sum;
  }

  Scratch scratch_;
};

TEST_F(Estimates, CountWhatARunThenDoes) {
  scratch_.write("m.toml", costly());
  const json costs = estimate({});
  EXPECT_EQ(costs.at("device"), "");
  for (const json& line : costs.at("stages")) {
    EXPECT_TRUE(line.at("hours").is_null());
    EXPECT_THAT(line.at("source").get<std::string>(), HasSubstr("no rate: "));
  }
  EXPECT_TRUE(costs.at("not_exact").empty()) << costs.at("not_exact");
  const Finished finished = run(scratch_, {"run", "m.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;

  const auto done = [&](const std::string& where) { return number("SELECT sum(items) FROM stages WHERE " + where); };
  // the first batch of each, while which nothing is timed: 4 checkpoints x 32, 12 passes over less than one batch
  EXPECT_EQ(items(costs, "pre-train"), done("stage = 'pretrain'") + 4 * 32);
  EXPECT_EQ(items(costs, "tune", "head-steps"), done("stage = 'tune' AND unit = 'head-steps'"));
  EXPECT_EQ(items(costs, "tune", "heads"), number("SELECT count(*) FROM v_cells WHERE tuner = 'ridge'"));
  EXPECT_EQ(items(costs, "fine-tune"), done("stage = 'tune' AND unit = 'images'") + 8 * 32);
  EXPECT_EQ(items(costs, "evaluate"), done("stage = 'evaluate'"));
  EXPECT_EQ(items(costs, "upstream"), number("SELECT sum(upstream_samples) FROM noise"));
  EXPECT_EQ(items(costs, "compare"), number("SELECT count(*) FROM alignments"));
  EXPECT_EQ(items(costs, "encode"), 4 * (4 * 80 + 2 * 4 * 10));

  const json& cache = costs.at("cache");
  EXPECT_EQ(cache.at("encodings"), 12);
  EXPECT_EQ(cache.at("feature_bytes"), files("features", "x.f32").second + files("features", "y.i64").second);
  EXPECT_EQ(cache.at("feature_files"), files("features", "").first);
  EXPECT_EQ(cache.at("checkpoint_files"), files("checkpoints", "").first);
  const std::int64_t headers =
      files("checkpoints", "model.safetensors").second - cache.at("checkpoint_bytes").get<std::int64_t>();
  EXPECT_GE(headers, 0);
  EXPECT_LE(headers, 4 * 4096);
  EXPECT_EQ(costs.at("cells"), number("SELECT count(*) FROM cells"));
  EXPECT_EQ(costs.at("test_sets"), number("SELECT count(*) FROM confusion"));
}

TEST_F(Estimates, TakeTheRateThatIsMostAlikeAndNameIt) {
  scratch_.write("m.toml", std::string(kTiny) + "[encode]\nprecision = \"fp32\"\n");
  ASSERT_EQ(run(scratch_, {"run", "m.toml", "--set", "matrix.seeds=[0]"}).status, 0);
  change("UPDATE stages SET seconds = items / 50");
  const json same = estimate({"--set", "matrix.seeds=[1,2]", "--set", "pretrain.optim.epochs=7"});
  EXPECT_EQ(same.at("device"), "cpu");
  for (const json& line : same.at("stages")) {
    if (line.at("stage") == "compare") {
      EXPECT_EQ(line.at("source"), "no rate: runs do not time it");
      continue;
    }
    EXPECT_THAT(line.at("source").get<std::string>(), HasSubstr("same ")) << line;
    EXPECT_EQ(line.at("scale"), 1) << line;
    EXPECT_DOUBLE_EQ(line.at("hours").get<double>(), line.at("items").get<double>() / 50 / 3600) << line;
  }

  const json other = estimate({"--set", "pretrain.optim.batch_size=16", "--set", "task.train.classes=3", "--set",
                               "task.test.data.classes=3", "--set", "encode.precision=bf16"});
  const auto line_of = [&](const std::string& stage, const std::string& what) {
    for (const json& line : other.at("stages")) {
      if (line.at("stage") == stage && line.at("what").get<std::string>().rfind(what, 0) == 0) return line;
    }
    ADD_FAILURE() << "no line " << stage << " " << what << " in " << other;
    return json();
  };
  EXPECT_THAT(line_of("pre-train", "resnet-tiny").at("source").get<std::string>(),
              HasSubstr("same encoder, other recipe: batch_size 32 for 16;"));
  EXPECT_THAT(line_of("encode", "resnet-tiny").at("source").get<std::string>(),
              HasSubstr("precision \"fp32\" for \"bf16\""));
  const json probe = line_of("tune", "linear-probe");
  EXPECT_THAT(probe.at("source").get<std::string>(), HasSubstr("scaled by the size of a head"));
  // weight, gradient and moments of D x C + C numbers, and 64 rows with what is kept of each
  const double dim = std::stod(probe.at("what").get<std::string>().substr(std::string("linear-probe, ").size()));
  const auto size = [&](double classes) { return 4 * (dim * classes + classes) + 64 * (dim + 2 * classes); };
  EXPECT_NEAR(probe.at("scale").get<double>(), size(3) / size(4), 1e-9);
  EXPECT_NEAR(line_of("evaluate", "mlp").at("scale").get<double>(), (dim + 3) / (dim + 4), 1e-9);

  // nothing like it was timed: no number, and a line that says so
  const Finished text = run(scratch_, {"plan", "m.toml", "--estimate", "--set", "pretrain.encoder.width=8"});
  EXPECT_THAT(text.out, AllOf(HasSubstr("no rate: nothing like it was timed"), HasSubstr("lines have no rate")));
}

// As while a run packs its cells: in a worker, which is told the plan.
TEST_F(Estimates, AskAStrangersEncoderForItsFeatures) {
  const std::string matrix = kTiny;
  scratch_.write(
      "m.toml", "[matrix]\nname = \"strange\"\nseeds = [0]\n[[pretrain]]\nencoder = { plugin = \"hungry-encoder\" }\n" +
                    matrix.substr(matrix.find("[[task]]")));
  const json costs = estimate({"--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
  EXPECT_EQ(costs.at("cells_that_cannot_run"), 0);
  EXPECT_EQ(costs.at("cache").at("feature_bytes"), (4 * 80 + 2 * 4 * 10) * (3 * 4 + 8));
}

TEST_F(Estimates, TellDevicesApart) {
  scratch_.write("m.toml", kTiny);
  ASSERT_EQ(run(scratch_, {"run", "m.toml", "--set", "matrix.seeds=[0]"}).status, 0);
  fs::copy_file(db(), scratch_ / "gpu.sqlite");
  change("UPDATE stages SET seconds = items / 50");
  SQLite::Database gpu((scratch_ / "gpu.sqlite").string(), SQLite::OPEN_READWRITE);
  gpu.exec("UPDATE stages SET device = 'cuda:1', seconds = items / 1000; UPDATE runs SET gpu = 'a GPU'");
  const std::vector<std::string> both = {"plan", "m.toml", "--estimate", "--rates", "nmlbench.sqlite", "gpu.sqlite"};
  const Finished undecided = run(scratch_, both);
  EXPECT_EQ(undecided.status, 2);
  EXPECT_THAT(undecided.err, HasSubstr("there are rates of cpu, cuda; say with --device which are meant"));
  const json costs = estimate({"--device", "cuda", "--rates", "nmlbench.sqlite", "gpu.sqlite"});
  EXPECT_EQ(costs.at("machines"), json::array({"a GPU"}));
  EXPECT_DOUBLE_EQ(costs.at("stages").at(0).at("per_second").get<double>(), 1000);
  const Finished text = run(scratch_, {"plan", "m.toml", "--estimate", "--rates", "gpu.sqlite"});
  EXPECT_THAT(text.out, AllOf(HasSubstr("GPU-h"), HasSubstr("by rates of cuda (a GPU)")));
  EXPECT_EQ(run(scratch_, {"plan", "m.toml", "--rates", "gpu.sqlite"}).status, 2);
  for (const char* device : {"cuda:x", "cuda:", "cuda:-1", "cuda:99999999999", "gpu"}) {
    const Finished wrong = run(scratch_, {"plan", "m.toml", "--estimate", "--device", device});
    EXPECT_EQ(wrong.status, 2) << device;
    EXPECT_THAT(wrong.err, HasSubstr("expected auto, cpu, cuda or cuda:N")) << device;
  }
}

}  // namespace
}  // namespace nmlbench::testing
