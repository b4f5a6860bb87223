#include "integration/matrices.h"
#include "plan/plan.h"
#include "plan/planned_cell.h"
#include "support/plugins.h"
#include "support/scratch.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

// Splits without opening anything; `broken` and `changed` name data sets that cannot be read or have other content.
class FakeInspector : public Inspector {
 public:
  SplitFacts split(const ResolvedPlugin& dataset) const override {
    SplitFacts facts;
    facts.digest = digest + dataset.canonical;
    facts.info.size = 100;
    facts.info.classes = 4;
    facts.only_label = only_label;
    facts.info.domain = dataset.params.has("domain") ? dataset.params.text("domain") : "";
    if (dataset.params.has("split") && dataset.params.text("split") == broken_split) facts.error = "unreadable";
    if (of_split.count(facts.info.domain) > 0) facts.info = of_split.at(facts.info.domain);
    return facts;
  }
  std::optional<bool> trainable(const ResolvedPlugin& encoder) const override {
    return encoder.name == "resnet-tiny" || encoder.name == "vit";
  }
  std::optional<InputSpec> input(const ResolvedPlugin& encoder) const override {
    const auto found = inputs.find(encoder.name);
    return found == inputs.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<std::int64_t> feature_dim(const ResolvedPlugin&, const SplitInfo& samples) const override {
    return c10::multiply_integers(samples.sample_shape);
  }
  std::optional<NoiseFacts> noise(const ResolvedPlugin& model) const override {
    return NoiseFacts{model.name.starts_with("caption"), model.name == "web"};
  }
  std::string files(const ResolvedPlugin& plugin) const override {
    if (no_weights && plugin.kind == PluginKind::encoder) throw ConfigError(plugin.where, "no such file");
    return plugin.params.has("labels") ? plugin.params.text("labels") : "";
  }

  std::string digest = "d";
  std::string broken_split;
  bool no_weights = false;
  std::optional<std::int64_t> only_label;
  std::map<std::string, SplitInfo> of_split;  // by domain
  std::map<std::string, InputSpec> inputs;    // by encoder
};

Plan plan_of(const std::string& text, const FakeInspector& inspector = {},
             const std::vector<std::string>& overrides = {}) {
  const testing::Scratch scratch;
  return make_plan(read_matrix(read_source(scratch.write("m.toml", text), overrides)), testing::bundled(), inspector);
}

std::set<std::string> ids(const Plan& plan) {
  std::set<std::string> ids;
  for (const Cell& cell : plan.cells) ids.insert(cell.id);
  return ids;
}

TEST(Plan, IsTheProductOfItsAxes) {
  const Plan plan = plan_of(testing::kTiny);
  EXPECT_EQ(plan.checkpoints.size(), 4U);  // 2 ratios x 2 seeds
  EXPECT_EQ(plan.cells.size(), 12U);       // x 3 tuners, each on its checkpoint's seed
  EXPECT_EQ(ids(plan).size(), 12U);
  EXPECT_EQ(plan.encodings.size(), 12U);  // 4 checkpoints x 3 splits, whatever number of cells needs them
  EXPECT_EQ(plan.checkpoints[2].noise_ratio(), 0.3);
}

TEST(Plan, HasTheSameIdentitiesTwiceAndOthersForOtherWork) {
  const auto base = ids(plan_of(testing::kTiny));
  EXPECT_EQ(ids(plan_of(testing::kTiny)), base);
  FakeInspector other_content;
  other_content.digest = "e";
  for (const auto& changed :
       {plan_of(testing::kTiny, other_content), plan_of(testing::kTiny, {}, {"pretrain.optim.lr=0.2"}),
        plan_of(testing::kTiny, {}, {"tuner.lr=0.5"}), plan_of(testing::kTiny, {}, {"matrix.seeds=[7, 8]"}),
        plan_of(testing::kTiny, {}, {"task.fraction=0.5"}), plan_of(testing::kTiny, {}, {"task.name=x"})}) {
    for (const std::string& id : ids(changed)) EXPECT_EQ(base.count(id), 0U);
  }
}

// Checkpoints that others have in their caches keep their identity, however many parameters recipes get.
TEST(Plan, ARecipeWithoutLaterParametersIsWhatItWas) {
  const Plan plan = plan_of(testing::kTiny);
  EXPECT_EQ(
      plan.checkpoints[0].optim.canonical,
      R"({"augment":"none","batch_size":32,"clip":0,"crop_scale":[0.08,1],"ema":0,"epochs":3,"jitter":0,"lr":0.05,)"
      R"("momentum":0.9,"name":"sgd","nesterov":false,"precision":"fp32","schedule":"cosine","shift":4,)"
      R"("threads":1,"warmup":0,"weight_decay":0.0005})");
  EXPECT_EQ(ids(plan_of(testing::kTiny, {}, {"pretrain.optim.mixup=0", "pretrain.optim.loss=cross-entropy"})),
            ids(plan));
  for (const char* later : {"pretrain.optim.mixup=0.2", "pretrain.optim.repeated_augmentation=3",
                            "pretrain.optim.loss=bce", "pretrain.optim.rand_ops=1"}) {
    const Plan other = plan_of(testing::kTiny, {}, {later});
    for (const std::string& id : ids(other)) EXPECT_EQ(ids(plan).count(id), 0U) << later;
  }
}

TEST(Plan, WeightsThatAreNotThereCostTheirCellsAndStayApart) {
  std::string text = testing::kTiny;
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  text.replace(begin, end - begin,
               "[[pretrain]]\nencoder = { plugin = \"torchscript\", path = [\"a/m.pt\", \"b/m.pt\"] }\n");
  FakeInspector inspector;
  inspector.no_weights = true;
  const Plan plan = plan_of(text, inspector);
  EXPECT_EQ(plan.checkpoints.size(), 2U);
  for (const Cell& cell : plan.cells) EXPECT_THAT(plan.obstacle(cell), ::testing::HasSubstr("no such file"));
}

TEST(Plan, AValidationIsPartOfNoCell) {
  std::string text = testing::kTiny;
  text.insert(text.find("\n[[task]]"), "validation = { plugin = \"procedural\", split = \"test\", classes = 4 }\n");
  const Plan plan = plan_of(text);
  EXPECT_EQ(ids(plan), ids(plan_of(testing::kTiny)));
  std::set<std::string> measurements;
  for (const Checkpoint& checkpoint : plan.checkpoints) {
    ASSERT_TRUE(checkpoint.validation);
    EXPECT_EQ(checkpoint.validation->test.name, "procedural(split=test,classes=4)");
    EXPECT_TRUE(measurements.insert(checkpoint.validation->id).second) << "two checkpoints share a measurement";
  }
}

TEST(Plan, AnEqualPretrainSectionAddsNothing) {
  const std::string text = testing::kTiny;
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  EXPECT_EQ(plan_of(text.substr(0, end) + text.substr(begin)).cells.size(), 12U);
}

// kTiny with this encoder.
std::string with_encoder(const std::string& encoder) {
  std::string text = testing::kTiny;
  const std::string old = "{ plugin = \"resnet-tiny\", width = 4 }";
  return text.replace(text.find(old), old.size(), encoder);
}

TEST(Plan, ReadoutsShareACheckpointAndTellCellsApart) {
  const std::string vit = R"({ plugin = "vit", variant = "vit_tiny")";
  const Plan plan = plan_of(with_encoder(vit + R"(, pooling = ["head", "mean"], layer = [-1, -2] })"));
  ASSERT_EQ(plan.checkpoints.size(), 4U);  // 2 ratios x 2 seeds
  EXPECT_EQ(plan.checkpoints[0].readouts.size(), 4U);
  EXPECT_EQ(plan.encodings.size(), 48U);  // x 4 readouts x 3 splits
  EXPECT_EQ(plan.cells.size(), 48U);
  EXPECT_EQ(ids(plan).size(), 48U);
  std::set<std::string> coordinates, params;
  for (const Cell& cell : plan.cells) {
    coordinates.insert(cell.coordinates);
    params.insert(planned_cell(plan, cell).encoder_params);
    for (const std::size_t test : cell.tests) EXPECT_EQ(plan.encodings[test].readout, cell.readout);
  }
  EXPECT_EQ(coordinates.size(), 48U);
  EXPECT_EQ(params.size(), 4U);
  for (const std::string& text : params) EXPECT_THAT(text, ::testing::HasSubstr("\"pooling\""));

  const Plan usual = plan_of(with_encoder(vit + " }")), said = plan_of(with_encoder(vit + R"(, layer = -1 })"));
  EXPECT_EQ(ids(usual), ids(said)) << "the default is the default, written or not";
  EXPECT_EQ(plan.checkpoints[0].id, usual.checkpoints[0].id);
  for (const std::string& id : ids(usual)) EXPECT_EQ(ids(plan).count(id), 1U);
}

TEST(Plan, ReadoutsOfTwoSectionsAreOfOneCheckpoint) {
  const std::string text = with_encoder(R"({ plugin = "vit", pooling = ["cls", "max"] })");
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  std::string again = text.substr(begin, end - begin);
  again.replace(again.find("\"cls\""), 5, "\"mean\"");  // and max once more
  const Plan plan = plan_of(text.substr(0, end) + again + text.substr(end));
  ASSERT_EQ(plan.checkpoints.size(), 4U);
  EXPECT_EQ(plan.checkpoints[3].readouts.size(), 3U);
}

TEST(Plan, ReadoutsOfStatedEncodersAreOfOneCheckpoint) {
  std::string text = testing::kTiny;
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  text.replace(begin, end - begin,
               "[[pretrain]]\nencoder = { plugin = \"vit\", pooling = [\"cls\", \"mean\"] }\n"
               "stated = { encoder = \"dinov2\", noise = \"symmetric\", noise_ratio = [0.1] }\n");
  const Plan plan = plan_of(text);
  ASSERT_EQ(plan.checkpoints.size(), 1U);
  EXPECT_EQ(plan.checkpoints[0].readouts.size(), 2U);
  EXPECT_EQ(plan.cells.size(), 12U);  // 2 readouts x 3 tuners x 2 seeds
}

TEST(Plan, AnEncoderWithoutWeightsIsOneCheckpointForAllSeeds) {
  std::string text = testing::kTiny;
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  text.replace(begin, end - begin, "[[pretrain]]\nencoder = { plugin = \"pixels\" }\n\n");
  const Plan plan = plan_of(text);
  EXPECT_EQ(plan.checkpoints.size(), 1U);
  EXPECT_EQ(plan.cells.size(), 6U);  // 3 tuners x 2 seeds
}

TEST(Plan, ExcludesWhatMatchesEveryColumn) {
  const std::string text =
      std::string(testing::kTiny) + "\n[[exclude]]\ntuner = [\"mlp\", \"nmtune\"]\nnoise_ratio = 0.3\n";
  EXPECT_EQ(plan_of(text).cells.size(), 8U);
}

TEST(Plan, UnreadableDataIsAnObstacleOfItsCells) {
  FakeInspector inspector;
  inspector.broken_split = "test";
  const Plan plan = plan_of(testing::kTiny, inspector);
  EXPECT_EQ(plan.obstacle(plan.cells[0]), "unreadable");
  // the coordinates of a cell survive the repair of its data
  const Plan repaired = plan_of(testing::kTiny);
  EXPECT_EQ(plan.cells[0].coordinates, repaired.cells[0].coordinates);
}

TEST(Plan, ShardsArePartsOfTheWhole) {
  const auto whole = ids(plan_of(testing::kTiny));
  std::set<std::string> parts;
  for (std::int64_t i = 1; i <= 5; ++i) {
    Plan part = plan_of(testing::kTiny);
    keep_shard(part, i, 5);
    for (const std::string& id : ids(part)) EXPECT_TRUE(parts.insert(id).second) << "in two shards";
  }
  EXPECT_EQ(parts, whole);
}

constexpr const char* kStop = "[stop]\nclaim = \"nmtune > mlp on ood\"\neffect = 0.5\nmax_seeds = 10\nbatch = 2\n";

TEST(Plan, StopIsPartOfNoIdentity) {
  const std::string text = std::string(testing::kTiny) + kStop;
  EXPECT_EQ(ids(plan_of(text)), ids(plan_of(testing::kTiny)));
  EXPECT_EQ(ids(plan_of(text, {}, {"stop.seeds=4"})), ids(plan_of(testing::kTiny, {}, {"matrix.seeds=[0, 1, 2, 3]"})));
}

TEST(Plan, AddedSeedsMoveNoCellToAnotherShard) {
  const auto shard = [](std::int64_t seeds, std::int64_t index) {
    Plan plan = plan_of(std::string(testing::kTiny) + kStop, {}, {"stop.seeds=" + std::to_string(seeds)});
    keep_shard(plan, index, 2);
    return ids(plan);
  };
  for (const std::int64_t index : {1, 2}) {
    std::set<std::string> before = shard(2, index);
    EXPECT_EQ(before.size(), 6U);
    for (const std::int64_t seeds : {4, 6, 10}) {
      const std::set<std::string> after = shard(seeds, index);
      EXPECT_EQ(after.size(), static_cast<std::size_t>(seeds) * 3);
      EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end())) << seeds;
      before = after;
    }
  }
}

TEST(Plan, ClaimsSpeakOfWhatIsThere) {
  const auto mistake = [](const std::string& claim, const std::vector<std::string>& overrides = {}) -> std::string {
    try {
      plan_of(std::string(testing::kTiny) + "[stop]\nclaim = '" + claim + "'\neffect = 0.5\nmax_seeds = 10\n", {},
              overrides);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(mistake("nmtune > mlp on ood at noise 0.3"), "");
  EXPECT_EQ(mistake("noise 0.3 helps id with linear-probe"), "");
  EXPECT_THAT(mistake("nmtun > mlp on ood"),
              HasSubstr("stop.claim: the matrix has no tuner \"nmtun\"; did you mean \"nmtune\""));
  EXPECT_THAT(mistake("nmtune > mpl on ood"), HasSubstr("no tuner \"mpl\""));
  EXPECT_THAT(mistake("nmtune (lr=0.1) > mlp on ood"), HasSubstr("has one setting"));
  const std::vector<std::string> two_rates = {"tuner[2].lr=[0.1, 0.01]"};
  const auto names_them = HasSubstr("nmtune has several settings; name one: nmtune (lr=0.01) | nmtune (lr=0.1)");
  EXPECT_EQ(mistake("nmtune (lr=0.1) > nmtune (lr=0.01) on ood", two_rates), "");
  EXPECT_THAT(mistake("nmtune > mlp on ood", two_rates), names_them);
  EXPECT_THAT(mistake("mlp > nmtune (lr=0.10) on ood", two_rates), names_them);
  EXPECT_THAT(mistake("noise hurts ood with nmtune (0.1)", two_rates), names_them);
  // what [selection] chooses from is one tuner
  EXPECT_EQ(mistake("nmtune > mlp on ood", {"tuner[2].lr=[0.1, 0.01]", "selection={ holdout = 0.2, over = [\"lr\"] }"}),
            "");
  EXPECT_THAT(mistake("noise 0.2 hurts ood"), HasSubstr("no noise ratio 0.2; it has 0, 0.3"));
  EXPECT_THAT(mistake("noise hurts ood", {"pretrain.noise.ratio=[0.3]"}), HasSubstr("no noise ratio 0;"));
  EXPECT_THAT(mistake("nmtune > mlp on ood", {"task.test[1].kind=id", "task.test[1].name=x"}),
              HasSubstr("kind \"ood\""));
}

// As boards print them: presets alone tell these apart.
TEST(Plan, ClaimsNameSettingsAsBoardsDo) {
  const auto mistake = [](const std::string& claim) -> std::string {
    try {
      plan_of(std::string(testing::kTiny) + "preset = \"paper\"\n[[tuner]]\nplugin = \"nmtune\"\nepochs = 2\n" +
              "preset = \"official\"\n[[exclude]]\ntuner = \"mlp\"\nnoise_ratio = 0.3\n" +
              "[stop]\nclaim = [\n  'mlp > linear-probe on id',\n  '" + claim + "'\n]\neffect = 1\nmax_seeds = 9\n");
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(mistake("nmtune (official) > nmtune (paper) on ood"), "");
  EXPECT_THAT(mistake("nmtune (preset=official) > mlp on ood"),
              HasSubstr("m.toml:42:3: stop.claim[1]: nmtune has several settings; name one: nmtune (official)"));
  EXPECT_EQ(mistake("nmtune (paper) > mlp on ood at noise 0"), "");
  EXPECT_THAT(mistake("nmtune (paper) > mlp on ood at noise 0.3"), HasSubstr("mlp has no cell that"));
}

TEST(Plan, PairedCellsShareTheirDraws) {
  const Plan plan = plan_of(testing::kTiny, {}, {"task.fraction=[0.5, 1.0]"});
  const auto find = [&](double ratio, double fraction, std::size_t tuner, std::int64_t seed) -> const Cell& {
    for (const Cell& cell : plan.cells) {
      if (plan.checkpoints[cell.checkpoint].noise_ratio() == ratio && cell.fraction == fraction &&
          cell.tuner == tuner && cell.seed == seed)
        return cell;
    }
    throw std::runtime_error("no such cell");
  };
  const auto draws = [&](const Cell& cell) { return cell_draws(plan, cell).key(); };
  const auto subset = [&](const Cell& cell) { return subset_draws(plan, cell).key(); };
  EXPECT_EQ(draws(find(0.0, 1.0, 0, 0)), draws(find(0.3, 1.0, 2, 0)));
  EXPECT_NE(draws(find(0.0, 1.0, 0, 0)), draws(find(0.0, 1.0, 0, 1)));
  EXPECT_NE(draws(find(0.0, 1.0, 0, 0)), draws(find(0.0, 0.5, 0, 0)));
  EXPECT_EQ(subset(find(0.0, 1.0, 0, 0)), subset(find(0.0, 0.5, 0, 0)));  // nested subsets
}

std::string with_noise(const std::string& noise) {
  std::string text = testing::kTiny;
  const std::string from = "{ plugin = \"symmetric\", ratio = [0.0, 0.3] }";
  return text.replace(text.find(from), from.size(), noise);
}

std::string mistake(const std::string& text) {
  try {
    plan_of(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Plan, AListOfNoiseModelsIsAComposition) {
  const Plan plan = plan_of(with_noise(R"([{ plugin = "long-tail", factor = [10, 100] },
                                           { plugin = "symmetric", ratio = [0.0, 0.3] }])"));
  ASSERT_EQ(plan.checkpoints.size(), 8U);  // 2 factors x 2 ratios x 2 seeds
  EXPECT_EQ(plan.checkpoints[0].noise_name(), "long-tail+symmetric");
  EXPECT_EQ(plan.checkpoints[2].noise_ratio(), 0.3);
  EXPECT_EQ(plan.checkpoints[4].noise_name(), "long-tail(factor=100)+symmetric");
  EXPECT_EQ(plan.checkpoints[4].noise_models(), "long-tail+symmetric");
  EXPECT_EQ(plan.checkpoints[0].noise.size(), 2U);
  EXPECT_EQ(ids(plan).size(), 24U);
}

TEST(Plan, TheOrderOfNoiseModelsMattersAndAListOfOneIsNone) {
  const std::string a = R"({ plugin = "long-tail" })", b = R"({ plugin = "symmetric", ratio = 0.3 })";
  const auto one = ids(plan_of(with_noise("[" + a + ", " + b + "]")));
  for (const std::string& id : ids(plan_of(with_noise("[" + b + ", " + a + "]")))) EXPECT_EQ(one.count(id), 0U);
  EXPECT_EQ(ids(plan_of(with_noise("[" + b + "]"))), ids(plan_of(with_noise(b))));
}

TEST(Plan, NoiseIsNamedAfterWhatDiffersFromTheDefaults) {
  const auto name = [](const std::string& noise) { return plan_of(with_noise(noise)).checkpoints[0].noise_name(); };
  EXPECT_EQ(name(R"({ plugin = "symmetric", ratio = 0.3, mode = "exact" })"), "symmetric");
  EXPECT_EQ(name(R"({ plugin = "symmetric", mode = "bernoulli", include_self = true })"),
            "symmetric(include_self=true,mode=bernoulli)");
  EXPECT_EQ(name(R"({ plugin = "asymmetric", preset = "cifar10", ratio = 0.4 })"), "asymmetric(preset=cifar10)");
  EXPECT_EQ(name(R"({ plugin = "human", labels = "some/where/c10n.csv", column = "worse" })"),
            "human(labels=c10n.csv,column=worse)");
  EXPECT_EQ(name(R"({ plugin = "web", source = { plugin = "procedural", domain = "sketch" } })"),
            "web(source=procedural(domain=sketch))");
}

// 1 - (1 - 0.2) (1 - 0.5): the share that at least one of them chooses.
TEST(Plan, TheRatioOfACompositionCountsEveryModel) {
  const Plan plan = plan_of(with_noise(R"([{ plugin = "symmetric", ratio = 0.2 }, { plugin = "long-tail" },
                                           { plugin = "asymmetric", ratio = 0.5 }])"));
  EXPECT_DOUBLE_EQ(plan.checkpoints[0].noise_ratio().value(), 0.6);
  EXPECT_EQ(plan.checkpoints[0].noise_name(), "symmetric(ratio=0.2)+long-tail+asymmetric(ratio=0.5)");
}

TEST(Plan, TwoNoisesOfOneNameAreAMistake) {
  const auto human = [](const std::string& file) { return R"({ plugin = "human", labels = ")" + file + R"(" })"; };
  const std::string text = with_noise(human("a/l.npy"));
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  const std::string again = text.substr(begin, end - begin);
  const auto both = [&](const std::string& file) {
    std::string other = again;
    return text.substr(0, end) + other.replace(other.find("a/l.npy"), 7, file) + text.substr(end);
  };
  EXPECT_NE(mistake(both("b/l.npy")).find("also called \"human(labels=l.npy)\""), std::string::npos)
      << mistake(both("b/l.npy"));
  EXPECT_EQ(plan_of(both("b/m.npy")).checkpoints.size(), 4U);
  EXPECT_EQ(plan_of(both("a/l.npy")).checkpoints.size(), 2U);
}

TEST(Plan, ASourceIsASplitOfThePlan) {
  const auto web = [](const std::string& source) { return R"({ plugin = "web", ratio = 0.1)" + source + " }"; };
  const std::string source =
      R"(, source = { plugin = "procedural", classes = 4, split = "test", domain = "negative" })";
  const Plan plan = plan_of(with_noise(web(source)));
  const Split& split = plan.splits[plan.checkpoints[0].noise[0].source.value()];
  EXPECT_EQ(split.plugin.params.text("domain"), "negative");
  Plan broken = plan;
  broken.splits[*plan.checkpoints[0].noise[0].source].facts.error = "unreadable";
  EXPECT_EQ(plan.obstacle(plan.cells[0]), "");
  EXPECT_EQ(broken.obstacle(plan.cells[0]), "unreadable");
  std::string other = source;
  other.replace(other.find("negative"), 8, "clipart");
  EXPECT_NE(plan_of(with_noise(web(other))).checkpoints[0].id, plan.checkpoints[0].id);
  EXPECT_NE(mistake(with_noise(web(""))).find("source = {"), std::string::npos) << mistake(with_noise(web("")));
  EXPECT_NE(mistake(with_noise(R"({ plugin = "symmetric")" + source + " }")).find("takes no `source`"),
            std::string::npos);
}

TEST(Plan, ExcludesNoiseByItsModelsOrItsWholeName) {
  const std::string noise = with_noise(R"({ plugin = "symmetric", include_self = [false, true] })");
  EXPECT_EQ(plan_of(noise + "\n[[exclude]]\nnoise = \"symmetric(include_self=true)\"\n").cells.size(), 6U);
  EXPECT_EQ(plan_of(noise + "\n[[exclude]]\nnoise = \"symmetric\"\n").cells.size(), 0U);
}

// What plan_of says is wrong.
std::string refusal(const std::string& text) {
  try {
    plan_of(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "planned";
}

TEST(Plan, AnExclusionThatMatchesNothingIsRefused) {
  const auto excluding = [](const std::string& what) { return std::string(testing::kTiny) + "\n[[exclude]]\n" + what; };
  EXPECT_THAT(refusal(excluding("tuner = \"mpl\"")), ::testing::HasSubstr("did you mean \"mlp\"?"));
  EXPECT_THAT(refusal(excluding("noise_ratio = [0.3, 0.2]")), ::testing::HasSubstr("no cell has noise_ratio = 0.2"));
  EXPECT_THAT(refusal(excluding("noise = \"symetric\"")), ::testing::HasSubstr("did you mean \"symmetric\"?"));
  const std::string never_both = "[[exclude]]\ntuner = \"mlp\"\nseed = 0\n[[exclude]]\ntuner = \"nmtune\"\nseed = 1\n";
  EXPECT_EQ(refusal(std::string(testing::kTiny) + "\n" + never_both), "planned");
  // an axis that --set narrows is no typing error
  EXPECT_EQ(plan_of(excluding("noise_ratio = 0.3\n"), {}, {"pretrain.noise.ratio=[0.0]"}).cells.size(), 6U);
}

TEST(Plan, ExclusionsCompareNumbersUpToRounding) {
  const std::string text = std::string(testing::kTiny) + "\n[[exclude]]\nnoise_ratio = 0.30000000000000004\n";
  EXPECT_EQ(plan_of(text).cells.size(), 6U);
}

TEST(Plan, AxesAndSeedsAreComparedAsWhatTheyAre) {
  std::string text = testing::kTiny;
  text.replace(text.find("[0.0, 0.3]"), 10, "[0.3, 0.30000000000000004]");
  EXPECT_THAT(refusal(text), ::testing::HasSubstr("listed twice"));
  text = testing::kTiny;
  text.replace(text.find("[0, 1]"), 6, "[1000000000000, 1000000000001]");
  EXPECT_EQ(plan_of(text + "\n[[exclude]]\nseed = 1000000000001\n").cells.size(), 6U);
  EXPECT_THAT(refusal(text + "\n[[exclude]]\nseed = 1000000000002\n"), ::testing::HasSubstr("no cell has seed"));
}

TEST(Plan, AFractionThatIsListedTwiceIsRefused) {
  std::string text = testing::kTiny;
  text.insert(text.find("[[task.test]]"), "fraction = [1, 0.5, 1.0]\n");
  EXPECT_THAT(refusal(text), ::testing::HasSubstr("listed twice"));
}

TEST(Plan, PathsThatOnlyShellsExpandAreRefused) {
  for (const char* path : {"~/x.npy", "$HOME/x.npy"}) {
    std::string text = testing::kFrozen;
    text.replace(text.find("\"x.npy\""), 7, "\"" + std::string(path) + "\"");
    EXPECT_THAT(refusal(text), ::testing::HasSubstr("expanded by shells"));
  }
}

TEST(Plan, EmptyNamesAreRefused) {
  for (const char* name : {"\"tiny\"", "\"general\""}) {
    std::string text = testing::kTiny;
    text.replace(text.find(name), std::string(name).size(), "\" \"");
    EXPECT_THAT(refusal(text), ::testing::HasSubstr("the name is empty"));
  }
}

TEST(Plan, SubsetsAreOfDecimalFractions) {
  EXPECT_EQ(subset_size(100, 0.29), 29);
  EXPECT_EQ(subset_size(100, 0.57), 57);
  EXPECT_EQ(subset_size(100, 0.58), 58);
  EXPECT_EQ(subset_size(100, 0.289999), 28);
  EXPECT_EQ(subset_size(3, 1.0 / 3), 1);
  EXPECT_EQ(subset_size(7, 0.01), 1);
  for (std::int64_t n = 1; n <= 2000; ++n) {
    for (std::int64_t percent = 1; percent <= 100; ++percent) {
      ASSERT_EQ(subset_size(n, static_cast<double>(percent) / 100), std::max<std::int64_t>(1, n * percent / 100));
    }
  }
}

// `sketch` is the domain of the OOD test set; all other splits are of photos.
TEST(Plan, ClassesOfATestSetAreMatchedByNameAndBelongToTheIdentity) {
  FakeInspector inspector;
  SplitInfo& photo = inspector.of_split["photo"];
  photo.size = 100;
  photo.classes = 3;
  photo.class_names = {"ant", "bee", "cat"};
  SplitInfo& sketch = inspector.of_split["sketch"] = photo;
  const Plan same = plan_of(testing::kTiny, inspector);
  EXPECT_TRUE(same.tasks[0].tests[1].classes.empty());
  sketch.classes = 2;
  sketch.class_names = {"ant", "cat"};
  const Plan fewer = plan_of(testing::kTiny, inspector);
  EXPECT_THAT(fewer.tasks[0].tests[1].classes, ::testing::ElementsAre(0, 2));
  EXPECT_NE(fewer.cells[0].id, same.cells[0].id);
  EXPECT_EQ(fewer.obstacle(fewer.cells[0]), "");
  sketch.class_names = {"ant", "cow"};
  const Plan other = plan_of(testing::kTiny, inspector);
  EXPECT_THAT(other.obstacle(other.cells[0]), ::testing::HasSubstr("\"cow\""));
}

TEST(Plan, FeaturesOfAnotherWidthAreAnObstacle) {
  FakeInspector inspector;
  SplitInfo& photo = inspector.of_split["photo"];
  photo.size = 100;
  photo.classes = 3;
  photo.kind = SampleKind::feature;
  photo.sample_shape = {8};
  inspector.of_split["sketch"] = photo;
  Plan plan = plan_of(testing::kTiny, inspector);
  EXPECT_EQ(plan.obstacle(plan.cells[0]), "");
  inspector.of_split["sketch"].sample_shape = {16};
  plan = plan_of(testing::kTiny, inspector);
  EXPECT_THAT(plan.obstacle(plan.cells[0]), ::testing::HasSubstr("16 columns, and the training split"));
}

TEST(Plan, OneClassIsNothingToLearn) {
  FakeInspector inspector;
  inspector.of_split["photo"].size = 100;
  inspector.of_split["photo"].classes = 1;
  const Plan plan = plan_of(testing::kTiny, inspector);
  EXPECT_THAT(plan.obstacle(plan.cells[0]), ::testing::HasSubstr("one class only"));
}

TEST(Plan, OneLabelOfThreeClassesIsNothingToLearn) {
  FakeInspector inspector;
  inspector.only_label = 2;
  const Plan plan = plan_of(testing::kTiny, inspector);
  EXPECT_THAT(plan.obstacle(plan.cells[0]), ::testing::HasSubstr("all labels are 2"));
}

constexpr const char* kPixels = R"(
[matrix]
name = "pixels"
seeds = [0]
[[pretrain]]
encoder = { plugin = "pixels" }
[[task]]
name = "t"
train = { plugin = "procedural", domain = "photo" }
[[task.test]]
kind = "id"
data = { plugin = "procedural", domain = "sketch" }
[[tuner]]
plugin = "linear-probe"
)";

TEST(Plan, ImagesOfAnotherSizeHaveOtherPixels) {
  FakeInspector inspector;
  SplitInfo& photo = inspector.of_split["photo"];
  photo.size = 100;
  photo.classes = 4;
  photo.sample_shape = {3, 32, 32};
  SplitInfo& sketch = inspector.of_split["sketch"];
  sketch = photo;
  const auto obstacle = [&](const char* matrix) {
    const Plan plan = plan_of(matrix, inspector);
    return plan.obstacle(plan.cells[0]);
  };
  EXPECT_EQ(obstacle(kPixels), "");
  sketch.sample_shape = {3, 16, 32};
  EXPECT_THAT(obstacle(kPixels), ::testing::HasSubstr("makes 1536 features"));
  EXPECT_EQ(obstacle(testing::kTiny), "") << "it wants images of its own size, which they are brought to";
  sketch.sample_shape = {3, 64, 16};  // as many of them
  EXPECT_EQ(obstacle(kPixels), "");
}

// 0.35 of 90 is 31.5, and was 31; 0.3 was right.
TEST(Plan, OnlyRatiosThatWereMiscountedGetAnotherIdentity) {
  const auto id = [](const char* ratio, std::int64_t size) {
    FakeInspector inspector;
    inspector.of_split["photo"].size = size;
    inspector.of_split["photo"].classes = 4;
    return plan_of(testing::kTiny, inspector, {std::string("pretrain.noise.ratio=") + ratio}).checkpoints[0].id;
  };
  EXPECT_EQ(id("0.3", 89), id("0.3", 4000));
  EXPECT_EQ(id("0.35", 50), id("0.35", 89));
  EXPECT_NE(id("0.35", 89), id("0.35", 90));
}

constexpr const char* kPhotos = R"(
[matrix]
name = "photos"
seeds = [0]
[[pretrain]]
encoder = { plugin = "pixels" }
[[pretrain]]
encoder = { plugin = "identity" }
[[task]]
name = "pets"
train = { plugin = "image-folder", path = "pets", size = 48 }
[[task.test]]
kind = "id"
data = { plugin = "image-folder", path = "pets/test" }
[[task]]
name = "world"
train = { plugin = "procedural", classes = 4 }
[[task.test]]
kind = "id"
data = { plugin = "procedural", classes = 4, split = "test" }
[[tuner]]
plugin = "linear-probe"
)";

InputSpec input_of(std::int64_t size, const Preprocessing& how) {
  InputSpec spec;
  spec.height = spec.width = size;
  spec.preprocessing = how;
  return spec;
}

// A task names data; what its references leave open comes from the encoder. Data that decode nothing are shared.
TEST(Plan, PreprocessingBelongsToTheEncoder) {
  FakeInspector inspector;
  const Plan own = plan_of(kPhotos, inspector);
  EXPECT_EQ(own.tasks.size(), 2U);
  inspector.inputs["pixels"] = input_of(64, {"crop", 0.9, "bicubic"});
  const Plan plan = plan_of(kPhotos, inspector);
  ASSERT_EQ(plan.tasks.size(), 3U);
  const auto data = [&](std::size_t cell, bool test) -> const ResolvedPlugin& {
    const Task& task = plan.tasks[plan.cells[cell].task];
    return plan.splits[test ? task.tests[0].split : task.train].plugin;
  };
  ASSERT_EQ(plan.cells.size(), 4U);  // pixels: pets, world; identity: pets, world
  EXPECT_EQ(data(0, false).params.integer("size"), 48) << "the matrix says so";
  EXPECT_EQ(data(0, true).params.integer("size"), 64);
  for (const bool test : {false, true}) {
    EXPECT_EQ(data(0, test).params.text("resize"), "crop");
    EXPECT_EQ(data(0, test).params.real("crop_pct"), 0.9);
    EXPECT_EQ(data(0, test).params.text("interpolation"), "bicubic");
    EXPECT_EQ(data(2, test).params.text("resize"), "squash");
  }
  EXPECT_EQ(plan.cells[1].task, plan.cells[3].task);
  // An encoder that says nothing has its cells as they were, and the task is one for whoever asks for results.
  EXPECT_EQ(plan.cells[2].id, own.cells[2].id);
  EXPECT_NE(plan.cells[0].id, own.cells[0].id);
  EXPECT_EQ(plan.tasks[plan.cells[0].task].params, plan.tasks[plan.cells[2].task].params);
}

TEST(Plan, OneSplitForEachPreprocessing) {
  FakeInspector inspector;
  inspector.inputs["pixels"] = inspector.inputs["identity"] = input_of(64, {"crop", 0.9, "bicubic"});
  EXPECT_EQ(plan_of(kPhotos, inspector).splits.size(), 4U);
  inspector.inputs["identity"].height = inspector.inputs["identity"].width = 96;
  EXPECT_EQ(plan_of(kPhotos, inspector).splits.size(), 5U);
  inspector.inputs["identity"].height = 32;
  EXPECT_THAT([&] { plan_of(kPhotos, inspector); },
              ::testing::ThrowsMessage<ConfigError>(::testing::HasSubstr("32 x 96 px, which is no square")));
}

TEST(Plan, PreTrainingDataAreBroughtToTheEncodersSize) {
  const char* matrix = R"(
[matrix]
name = "trained"
seeds = [0]
[[pretrain]]
encoder = { plugin = "resnet-tiny" }
dataset = { plugin = "image-folder", path = "pets" }
noise   = { plugin = "symmetric", ratio = 0.1 }
[[task]]
name = "world"
train = { plugin = "procedural", classes = 4 }
[[task.test]]
kind = "id"
data = { plugin = "procedural", classes = 4, split = "test" }
[[tuner]]
plugin = "linear-probe"
)";
  FakeInspector inspector;
  inspector.inputs["resnet-tiny"] = input_of(40, {});
  const Plan plan = plan_of(matrix, inspector);
  EXPECT_EQ(plan.splits[*plan.checkpoints[0].split].plugin.params.integer("size"), 40);
}

TEST(Plan, TenThousandCellsArePlannedQuickly) {
  std::string seeds = "matrix.seeds=[0";
  for (int seed = 1; seed < 850; ++seed) seeds.append(",").append(std::to_string(seed));
  const auto begin = std::chrono::steady_clock::now();
  const Plan plan = plan_of(testing::kTiny, {}, {seeds + "]", "pretrain.noise.ratio=[0.0, 0.1, 0.2, 0.3]"});
  EXPECT_GE(plan.cells.size(), 10000U);
  EXPECT_EQ(ids(plan).size(), plan.cells.size());
  // no speed claim: this catches quadratic planning, which takes minutes
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 60.0);
}

}  // namespace
}  // namespace nmlbench
