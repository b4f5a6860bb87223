// Recipes of pre-training as a user asks for them in a matrix.
#include "integration/matrices.h"
#include "support/program.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;

// One seed, one tuner, clean and noisy.
void write_short(const Scratch& scratch) {
  std::string text = kTiny;
  text.erase(text.find("[[tuner]]\nplugin = \"mlp\""));
  text.replace(text.find("seeds = [0, 1]"), 14, "seeds = [0]");
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

}  // namespace
}  // namespace nmlbench::testing
