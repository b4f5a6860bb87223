// Recipes of pre-training and upstream accuracy as a user asks for them in a matrix.
#include "integration/matrices.h"
#include "support/program.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// One seed, one tuner, clean and noisy.
void write_short(const Scratch& scratch, const std::string& pretrain = "") {
  std::string text = kTiny;
  text.erase(text.find("[[tuner]]\nplugin = \"mlp\""));
  text.replace(text.find("seeds = [0, 1]"), 14, "seeds = [0]");
  text.insert(text.find("\n[[task]]"), pretrain);
  scratch.write("tiny.toml", text);
}

Finished run_short(const Scratch& scratch, const std::vector<std::string>& set) {
  std::vector<std::string> arguments = {"run", "tiny.toml"};
  for (const std::string& item : set) arguments.insert(arguments.end(), {"--set", item});
  return run(scratch, arguments);
}

std::vector<std::optional<double>> column(const Scratch& scratch, const std::string& sql) {
  const SQLite::Database database((scratch / "nmlbench.sqlite").string());
  SQLite::Statement query(database, sql);
  std::vector<std::optional<double>> values;
  while (query.executeStep()) {
    values.push_back(query.getColumn(0).isNull() ? std::nullopt : std::optional(query.getColumn(0).getDouble()));
  }
  return values;
}

// Each part is a run of its own: it trains, resumes nothing, and leaves another loss than the plain recipe.
TEST(Recipes, EveryPartTrainsAndChangesTheResult) {
  const Scratch scratch;
  write_short(scratch);
  const std::vector<std::vector<std::string>> recipes = {
      {},
      {"pretrain.optim.label_smoothing=0.1"},
      {"pretrain.optim.loss=bce", "pretrain.optim.mixup=0.2"},
      {"pretrain.optim.mixup=0.2", "pretrain.optim.cutmix=1"},
      {"pretrain.optim.random_erasing=0.5"},
      {"pretrain.optim.repeated_augmentation=3", "pretrain.optim.augment=crop-flip"},
      {"pretrain.optim.rand_ops=2"},
      {"pretrain.optim.name=lamb"}};
  for (const auto& set : recipes) {
    const Finished finished = run_short(scratch, set);
    ASSERT_EQ(finished.status, 0) << finished.err;
  }
  const auto losses = column(scratch,
                             "SELECT DISTINCT round(value, 9) FROM v_results WHERE metric = 'loss' AND"
                             " noise_ratio = 0 AND test_kind = 'id'");
  EXPECT_EQ(losses.size(), recipes.size());
}

TEST(Recipes, AContrastiveEncoderRefusesWhatChangesLabels) {
  const Scratch scratch;
  write_short(scratch);
  const std::vector<std::string> clip = {"pretrain.encoder.plugin=clip-tiny", "pretrain.dataset.captions=true"};
  std::vector<std::string> mixed = clip;
  mixed.emplace_back("pretrain.optim.mixup=0.2");
  const Finished finished = run_short(scratch, mixed);
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("clip-tiny has no class scores and is pre-trained by a loss of its own, which "
                                      "knows no mixup = 0.2; remove that from optim"));
  EXPECT_EQ(run_short(scratch, clip).status, 0);
}

TEST(Recipes, SmoothingThatTheThresholdUndoesIsRefused) {
  const Scratch scratch;
  write_short(scratch);
  const Finished finished = run_short(scratch, {"pretrain.optim.loss=bce", "pretrain.optim.label_smoothing=0.1"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("label_smoothing = 0.1 does nothing where bce_threshold = 0.2"));
}

constexpr const char* kValidation =
    "validation = { plugin = \"procedural\", split = \"pretrain\", classes = 4, per_class = 40 }\n";

// The head that pre-training leaves has learned its classes; no cell of the matrix moves by asking.
TEST(UpstreamAccuracy, IsMeasuredOnceAndShown) {
  const Scratch scratch;
  write_short(scratch);
  ASSERT_EQ(run_short(scratch, {"pretrain.optim.epochs=12"}).status, 0);
  const char* sql = "SELECT upstream_accuracy FROM v_noise ORDER BY noise_ratio";
  EXPECT_EQ(column(scratch, sql), (std::vector<std::optional<double>>{std::nullopt, std::nullopt}));

  write_short(scratch, kValidation);
  const Finished again = run_short(scratch, {"pretrain.optim.epochs=12"});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("0 cells done, 0 failed, 2 known before"));
  EXPECT_THAT(again.err, Not(HasSubstr("trained resnet-tiny"))) << "the checkpoint of the cache is measured";
  const auto accuracies = column(scratch, sql);
  ASSERT_EQ(accuracies.size(), 2U);
  for (const auto& accuracy : accuracies) {
    ASSERT_TRUE(accuracy);
    EXPECT_NEAR(*accuracy * 160, std::round(*accuracy * 160), 1e-9) << "a share of 160 samples";
  }
  EXPECT_GT(*accuracies[0], 0.4) << "of four classes, without noise, on what it was trained on";
  EXPECT_EQ(column(scratch, "SELECT upstream_samples FROM v_noise LIMIT 1"), (std::vector<std::optional<double>>{160}));

  const std::string id = run(scratch, {"export", "--table", "cells", "--format", "csv"}).out;
  const std::string cell = id.substr(id.find('\n') + 1, 12);
  EXPECT_THAT(run(scratch, {"show", cell}).out, HasSubstr("upstream accuracy"));
  EXPECT_THAT(run_short(scratch, {"pretrain.optim.epochs=12"}).err, Not(HasSubstr("upstream accuracy 0.")))
      << "it is known now";
}

TEST(UpstreamAccuracy, OneThatCannotBeMeasuredIsToldAndCostsNoCell) {
  const Scratch scratch;
  write_short(scratch, "validation = { plugin = \"image-folder\", path = \"nowhere\" }\n");
  const Finished finished = run_short(scratch, {"pretrain.optim.epochs=1"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("no upstream accuracy: "));
  EXPECT_THAT(finished.err, HasSubstr("nowhere"));
}

// The tiny matrix on image-text pairs, whose captions name classes as the validation set does.
void write_pairs(const Scratch& scratch, const std::string& encoder, const std::string& validation,
                 const std::string& more = "") {
  write_short(scratch,
              "validation = { plugin = \"procedural\", " + validation + ", classes = 4, per_class = 40 }\n" + more);
  std::string text = read_text(scratch / "tiny.toml");
  for (const auto& [from, to] : std::map<std::string, std::string>{
           {"{ plugin = \"resnet-tiny\", width = 4 }", encoder},
           {"per_class = 40 }", "per_class = 40, captions = true }"},
           {"{ epochs = 3, batch_size = 32, lr = 0.05 }",
            "{ name = \"adamw\", epochs = 40, batch_size = 32, lr = 0.003 }"},
           {"plugin = \"symmetric\", ratio = [0.0, 0.3]", "plugin = \"caption-swap\", ratio = [0.0, 1.0]"}}) {
    text.replace(text.find(from), from.size(), to);
  }
  scratch.write("tiny.toml", text);
}

// Of four classes, on what it was trained on: well above chance after captions that are right, not after those of
// others.
TEST(UpstreamAccuracy, OfAnEncoderThatLearnedFromCaptionsIsZeroShot) {
  const Scratch scratch;
  write_pairs(scratch, "{ plugin = \"clip-tiny\", width = 8 }", "split = \"pretrain\", captions = true",
              "zero_shot = { prompts = [\"a {}\", \"photo of a {}\"] }\n");
  const Finished finished = run_short(scratch, {});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto accuracies = column(scratch, "SELECT upstream_accuracy FROM v_noise ORDER BY noise_ratio");
  ASSERT_EQ(accuracies.size(), 2U);
  ASSERT_TRUE(accuracies[0] && accuracies[1]) << finished.err;
  EXPECT_GT(*accuracies[0], 0.45);
  EXPECT_LT(*accuracies[1], 0.4);

  scratch.write("names.txt", "one\nother\nthird\nfourth\n");
  const Finished renamed = run_short(scratch, {"pretrain.zero_shot.class_names=\"names.txt\""});
  EXPECT_THAT(renamed.err, AllOf(HasSubstr("upstream accuracy 0."), Not(HasSubstr("trained clip"))))
      << "sentences are part of the measurement alone";
}

TEST(UpstreamAccuracy, SaysWhatIsWrongWithItsSentences) {
  const Scratch scratch;
  const auto run_with = [&](const std::string& zero_shot) {
    write_pairs(scratch, "{ plugin = \"clip-tiny\", width = 4 }", "split = \"validation\"",
                "zero_shot = { " + zero_shot + " }\n");
    return run_short(scratch, {"pretrain.optim.epochs=1"});
  };
  scratch.write("three.txt", "one\ntwo\n\nthree\n");
  const Finished few = run_with("class_names = \"three.txt\"");
  EXPECT_EQ(few.status, 0) << few.err;
  EXPECT_THAT(few.err, HasSubstr("class_names has 3 names, and dataset procedural has 4 classes"));
  EXPECT_THAT(run_with("prompt_file = \"none.txt\"").err, HasSubstr("none.txt: no such file"));
  const Finished fixed = run_with("prompts = [\"a photo\"]");
  EXPECT_EQ(fixed.status, 2);
  EXPECT_THAT(fixed.err, HasSubstr("the prompt \"a photo\" has no {}, which stands for the class"));
  EXPECT_THAT(run_with("promts = [\"a {}\"]").err, HasSubstr("did you mean \"prompts\""));

  write_short(scratch, std::string(kValidation) + "zero_shot = { prompts = [\"a {}\"] }\n");
  EXPECT_THAT(run_short(scratch, {}).err, HasSubstr("is for encoders that learn from captions"));
  write_short(scratch, "zero_shot = { prompts = [\"a {}\"] }\n");
  EXPECT_THAT(run_short(scratch, {}).err, HasSubstr("is about classes of a `validation` set, and there is none"));
}

TEST(UpstreamAccuracy, WithoutPreTrainingIsRefused) {
  const Scratch scratch;
  std::string text = kTiny;
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  text.replace(begin, end - begin,
               std::string("[[pretrain]]\nencoder = { plugin = \"pixels\" }\n") + kValidation + "\n");
  scratch.write("tiny.toml", text);
  const Finished finished = run(scratch, {"run", "tiny.toml"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("there is no `dataset` to pre-train on"));
}

}  // namespace
}  // namespace nmlbench::testing
