// Tuners that move the encoder, as a user meets them: run, resumed, failed, measured between untouched and tuned.
#include "integration/matrices.h"
#include "support/program.h"

#include <cmath>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Two noise ratios, one seed, a task of 4 classes with ID and OOD; tuners follow.
std::string matrix_with(const std::string& tuners) {
  std::string text = kTiny;
  text.erase(text.find("[[tuner]]"));
  text.replace(text.find("seeds = [0, 1]"), 14, "seeds = [0]");
  return text + tuners;
}

class FineTune : public ::testing::Test {
 protected:
  Finished nmlbench(const std::string& tuners, std::vector<std::string> arguments = {"run", "m.toml"}) {
    scratch_.write("m.toml", matrix_with(tuners));
    return testing::run(scratch_, arguments);
  }
  double number(const std::string& sql) const {
    return SQLite::Database((scratch_ / "nmlbench.sqlite").string()).execAndGet(sql).getDouble();
  }
  std::string text(const std::string& sql) const {
    return SQLite::Database((scratch_ / "nmlbench.sqlite").string()).execAndGet(sql).getString();
  }

  Scratch scratch_;
};

constexpr const char* kFull = R"(
[[tuner]]
plugin = "full-finetune"
epochs = 15
batch_size = 32
lr = 0.03
batch_norm = "batch"
)";

constexpr const char* kShort = R"(
[[tuner]]
plugin = "full-finetune"
epochs = 2
batch_size = 32
lr = 0.003
)";

TEST_F(FineTune, MovesTheEncoderAndIsMeasuredLikeAHead) {
  const Finished finished = nmlbench(std::string(kFull) + "[[tuner]]\nplugin = \"linear-probe\"\nepochs = 30\n");
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(number("SELECT count(*) FROM v_results WHERE tuner = 'full-finetune' AND metric IN ('accuracy', 'loss', "
                   "'ece', 'sve', 'lsvr', 'sve_raw', 'lsvr_raw')"),
            2 * 2 * 7);
  const auto mean = [&](const std::string& tuner) {
    return number("SELECT avg(value) FROM v_results WHERE metric = 'accuracy' AND test_kind = 'id' AND tuner = '" +
                  tuner + "'");
  };
  EXPECT_GT(mean("full-finetune"), mean("linear-probe") + 0.05) << "an encoder of three epochs has much to learn";
  // its features are its own, those of the frozen encoder are told beside them
  EXPECT_EQ(number("SELECT count(*) FROM v_results a JOIN v_results b USING (cell_id, test_set) WHERE a.metric = 'sve' "
                   "AND b.metric = 'sve_raw' AND a.tuner = 'full-finetune' AND abs(a.value - b.value) < 1e-6"),
            0);
  EXPECT_EQ(number("SELECT count(*) FROM v_results a JOIN v_results b ON a.metric = b.metric AND a.test_set = "
                   "b.test_set AND a.noise_ratio = b.noise_ratio WHERE a.metric = 'sve_raw' AND a.tuner = "
                   "'full-finetune' AND b.tuner = 'linear-probe' AND a.value = b.value"),
            4);
  EXPECT_EQ(number("SELECT count(*) FROM v_predictions"), 8);
  EXPECT_EQ(number("SELECT count(*) FROM v_throughput WHERE stage = 'tune' AND unit = 'images' AND tuner = "
                   "'full-finetune' AND per_second > 0"),
            2);
}

// No linear probe reads the frozen features of the training rows.
TEST_F(FineTune, EncodesNoTrainingRowsForNothing) {
  const Finished plan = nmlbench(kFull, {"plan", "m.toml"});
  ASSERT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.out, ::testing::ContainsRegex("encode +4 "));
  EXPECT_THAT(plan.out, ::testing::ContainsRegex("fine-tune +2 +0 +2 +9.6k images"));
  ASSERT_EQ(nmlbench(kFull).status, 0);
  EXPECT_EQ(number("SELECT sum(items > 250) FROM v_throughput WHERE stage = 'encode'"), 0);
}

TEST_F(FineTune, IsAFunctionOfItsIdentity) {
  const std::string both = std::string(kShort) + "[[tuner]]\nplugin = \"bitfit\"\nepochs = 2\nlr = 0.01\n";
  ASSERT_EQ(nmlbench(both).status, 0);
  const auto rows = result_rows(scratch_ / "nmlbench.sqlite");
  ASSERT_EQ(nmlbench(both, {"run", "m.toml", "--db", "one.sqlite", "--threads", "1"}).status, 0);
  EXPECT_EQ(result_rows(scratch_ / "one.sqlite"), rows);
  ASSERT_EQ(nmlbench(both, {"run", "m.toml", "--db", "half.sqlite", "--shard", "2/2"}).status, 0);
  const auto half = result_rows(scratch_ / "half.sqlite");
  EXPECT_FALSE(half.empty());
  for (const auto& [key, value] : half) EXPECT_EQ(rows.at(key), value) << key;
}

// ---- The curve

constexpr const char* kCurve = R"(
[[tuner]]
plugin = "linear-probe"
[[tuner]]
plugin = "lp-ft"
epochs = 3
lr = 0.002
[[tuner]]
plugin = "wise-ft"
epochs = 3
lr = 0.002
alpha = [0.0, 0.5, 1.0]
)";

// Of two tuners, with an alpha where there is one, on all test sets and checkpoints.
constexpr const char* kLargestDifference =
    "SELECT max(abs(a.value - b.value)) FROM v_results a JOIN v_results b USING (noise_ratio, test_set) WHERE "
    "a.tuner = 'wise-ft' AND json_extract(a.tuner_params, '$.alpha') = {} AND b.tuner = '{}' AND a.metric = '{}' AND "
    "b.metric = '{}'";

TEST_F(FineTune, ACurveOfSharesIsOneFitFromTheProbeToTheTunedEncoder) {
  const Finished finished = nmlbench(kCurve);
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto difference = [&](double alpha, const char* tuner, const char* metric, const char* of_tuner) {
    EXPECT_EQ(number(fmt::format("SELECT count(*) FROM v_results WHERE tuner = '{}' AND metric = '{}'", tuner, metric)),
              4);
    return number(fmt::format(kLargestDifference, alpha, tuner, metric, of_tuner));
  };
  EXPECT_EQ(difference(0, "linear-probe", "accuracy", "accuracy"), 0);
  EXPECT_LT(difference(0, "linear-probe", "loss", "loss"), 1e-5);
  EXPECT_LT(difference(0, "linear-probe", "sve", "sve_raw"), 1e-4) << "the untouched encoder";
  for (const char* metric : {"accuracy", "loss", "sve"}) EXPECT_EQ(difference(1, "lp-ft", metric, metric), 0);
  EXPECT_GT(difference(0.5, "lp-ft", "loss", "loss"), 1e-3);
  EXPECT_GT(difference(0.5, "linear-probe", "loss", "loss"), 1e-3);
  EXPECT_EQ(number("SELECT count(*) FROM v_throughput WHERE stage = 'tune' AND tuner = 'wise-ft'"), 2);
  EXPECT_EQ(number("SELECT sum(items) FROM v_throughput WHERE stage = 'evaluate' AND tuner = 'wise-ft'"), 2 * 3 * 80);
}

// ---- Interrupted

std::vector<std::filesystem::path> partial_files(const Scratch& scratch) {
  std::vector<std::filesystem::path> found;
  if (!std::filesystem::exists(scratch / "cache/checkpoints")) return found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch / "cache/checkpoints")) {
    if (entry.path().extension() == ".partial") found.push_back(entry.path());
  }
  return found;
}

TEST_F(FineTune, ResumesAfterItsLastEpochWithTheNumbersItWouldHaveHad) {
  std::string tuners;
  for (const char* name : {"full-finetune", "wise-ft"}) {
    tuners += fmt::format("[[tuner]]\nplugin = \"{}\"\nepochs = 40\nlr = 0.003\nbatch_norm = \"batch\"\n", name);
  }
  ASSERT_EQ(nmlbench(tuners, {"features", "m.toml", "-o", "out"}).status, 0);  // pre-trained and encoded
  ASSERT_TRUE(partial_files(scratch_).empty());
  const std::vector<std::string> run_killed = {"run", "m.toml", "--db", "killed.sqlite", "--threads", "1"};
  {
    const Program program(scratch_, run_killed);
    for (int i = 0; i < 20000 && partial_files(scratch_).empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    program.signal(SIGKILL);
    program.wait();
  }
  ASSERT_EQ(partial_files(scratch_).size(), 1U);
  const Finished resumed = testing::run(scratch_, run_killed);
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("a fine-tuning resumes after epoch "));
  EXPECT_TRUE(partial_files(scratch_).empty()) << "what is stored needs none";
  ASSERT_EQ(nmlbench(tuners).status, 0);
  const auto rows = result_rows(scratch_ / "nmlbench.sqlite");
  EXPECT_FALSE(rows.empty());
  EXPECT_EQ(result_rows(scratch_ / "killed.sqlite"), rows);
}

// ---- What goes wrong

TEST_F(FineTune, OneThatFailsCostsItsCellsAlone) {
  const Finished finished = nmlbench(std::string(kShort) + R"(
[[tuner]]
plugin = "lora"
[[tuner]]
plugin = "lora"
targets = ["**.attn.qkv.weight"]
[[tuner]]
plugin = "full-finetune"
epochs = 1
lr = 1000.0
)");
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(number("SELECT count(*) FROM v_cells WHERE status = 'done'"), 2);
  EXPECT_THAT(finished.err,
              AllOf(HasSubstr("lora: the encoder has no MLP blocks under a known name; say `targets`, of body."),
                    HasSubstr("targets: \"**.attn.qkv.weight\" stands for no weight of the encoder; it has body."),
                    HasSubstr("training diverged: the loss of epoch 1 is ")));
  EXPECT_EQ(number("SELECT count(*) FROM v_cells WHERE status = 'failed'"), 6);
}

TEST_F(FineTune, AnEncoderWithoutWeightsIsRefusedInOneSentence) {
  std::string text = matrix_with(kShort);
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  text.replace(begin, end - begin, "[[pretrain]]\nencoder = { plugin = \"pixels\" }\n");
  scratch_.write("pixels.toml", text);
  const Finished finished = testing::run(scratch_, {"run", "pixels.toml"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("full-finetune: the encoder has no weights to move; tune a head on its frozen"));
}

// ---- Elsewhere

TEST_F(FineTune, RunsInWorkersWithTheSameNumbers) {
  const std::string both = std::string(kShort) + "[[tuner]]\nplugin = \"lp-ft\"\nepochs = 2\n";
  ASSERT_EQ(nmlbench(both).status, 0);
  const Finished isolated = nmlbench(both, {"run", "m.toml", "--db", "isolated.sqlite", "--isolate", "all"});
  ASSERT_EQ(isolated.status, 0) << isolated.err;
  EXPECT_EQ(result_rows(scratch_ / "isolated.sqlite"), result_rows(scratch_ / "nmlbench.sqlite"));
}

constexpr const char* kTextsMatrix = R"(
[matrix]
name = "texts"
seeds = [0]
[[pretrain]]
encoder = {{ plugin = "bert", vocab = "{}/tests/golden/text/vocab.txt", width = 32, depth = 2, heads = 2, pooling = "mean" }}
[[task]]
name = "letters"
train = {{ plugin = "text-file", path = "train.csv" }}
[[task.test]]
kind = "id"
data = {{ plugin = "text-file", path = "test.csv" }}
[[tuner]]
plugin = "lora"
epochs = 20
lr = 0.01
[[tuner]]
plugin = "bitfit"
epochs = 20
lr = 0.01
preset = "paper"
)";

TEST_F(FineTune, MovesEncodersOfTexts) {
  const auto sentences = [](int count, int seed) {
    std::string lines = "text,label\n";
    for (int i = 0; i < count; ++i)
      lines += fmt::format("{} {},{}\n", i % 2 == 0 ? "the fox" : "a dog", i + seed, i % 2);
    return lines;
  };
  scratch_.write("train.csv", sentences(120, 0));
  scratch_.write("test.csv", sentences(40, 500));
  scratch_.write("texts.toml", fmt::format(kTextsMatrix, NMLBENCH_SOURCE_DIR));
  const Finished finished = testing::run(scratch_, {"run", "texts.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(number("SELECT count(*) FROM v_results WHERE metric = 'accuracy' AND value > 0.9"), 2);
  EXPECT_EQ(number("SELECT count(*) FROM v_throughput WHERE stage = 'tune' AND unit = 'samples'"), 2);

  const Finished augmented = testing::run(scratch_, {"run", "texts.toml", "--set", "tuner.augment=shift"});
  EXPECT_EQ(augmented.status, 1);
  EXPECT_THAT(augmented.err, HasSubstr("lora: `augment` and `jitter` change images, and the data are texts"));
}

// Augmentation is drawn for each step, of the task's views where it is left to them.
TEST_F(FineTune, AugmentsAsTheTaskOrTheTunerSays) {
  const auto losses = [&](const std::string& set) {
    std::vector<std::string> arguments = {"run", "m.toml", "--db", set + ".sqlite", "--set", "pretrain.noise.ratio=0"};
    if (!set.empty()) arguments.insert(arguments.end(), {"--set", set});
    const Finished finished = nmlbench(kShort, arguments);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return SQLite::Database((scratch_ / (set + ".sqlite")).string())
        .execAndGet("SELECT avg(value) FROM v_results WHERE metric = 'loss'")
        .getDouble();
  };
  const std::set<double> different = {losses(""), losses("tuner.augment=shift-flip"), losses("tuner.augment=crop")};
  EXPECT_EQ(different.size(), 3U);
  EXPECT_THAT(nmlbench(kShort, {"run", "m.toml", "--db", "j.sqlite", "--set", "tuner.jitter=0.3"}).err,
              HasSubstr("jitter = 0.3 does nothing with augment = \"task\""));
}

}  // namespace
}  // namespace nmlbench::testing
