// The structure of a matrix file; what the program says to mistakes is in tests/integration.
#include "config/matrix_spec.h"
#include "integration/matrices.h"
#include "support/scratch.h"
#include "support/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;

MatrixSpec read(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const testing::Scratch scratch;
  return read_matrix(read_source(scratch.write("m.toml", text), overrides));
}

std::string mistake(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    read(text, overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

const Value& value_of(const PluginRef& ref, const std::string& key) {
  for (const auto& [name, value] : ref.values) {
    if (name == key) return value;
  }
  throw std::runtime_error("no " + key);
}

TEST(MatrixReader, AFileThatCannotBeOpenedHasTheSystemsReason) {
  const testing::Scratch scratch;
  const auto file = scratch.write("m.toml", testing::kTiny);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit no_more{0, before.rlim_max};
  std::string reason;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &no_more), 0);
  try {
    read_source(file, {});
  } catch (const Error& error) {
    reason = error.what();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(reason, HasSubstr("m.toml: cannot read: Too many open files; raise the limit"));
}

TEST(MatrixReader, ReadsEverySection) {
  const MatrixSpec spec = read(testing::kTiny);
  EXPECT_EQ(spec.name, "tiny");
  EXPECT_EQ(spec.seeds, (std::vector<std::int64_t>{0, 1}));
  ASSERT_EQ(spec.pretrains.size(), 1U);
  ASSERT_EQ(spec.pretrains[0].noise.size(), 1U);
  EXPECT_EQ(spec.pretrains[0].noise[0].model.plugin, "symmetric");
  EXPECT_EQ(value_of(spec.pretrains[0].noise[0].model, "ratio").list().size(), 2U);
  ASSERT_EQ(spec.tasks.size(), 1U);
  EXPECT_EQ(spec.tasks[0].fractions, std::vector<double>{1.0});
  EXPECT_TRUE(spec.tasks[0].tests[1].ood);
  EXPECT_EQ(spec.tuners.size(), 3U);
  EXPECT_FALSE(spec.analysis.center_rows);
}

TEST(MatrixReader, Utf16IsNamedAndAByteOrderMarkIsNoText) {
  EXPECT_THAT(mistake(std::string("\xFF\xFE[\0m\0", 6)), HasSubstr("m.toml: is UTF-16 text"));
  EXPECT_EQ(read("\xEF\xBB\xBF" + std::string(testing::kTiny)).name, "tiny");
}

std::string with_stop(const std::string& keys) {
  return std::string(testing::kTiny) + "[stop]\n" + keys;
}

TEST(MatrixReader, StopAddsSeedsUpward) {
  const std::string stop =
      "claim = [\"nmtune > mlp on ood\", \"noise hurts id\"]\neffect = 0.5\nmax_seeds = 9\nbatch = 3\n";
  const MatrixSpec spec = read(with_stop(stop));
  ASSERT_TRUE(spec.stop);
  EXPECT_EQ(spec.seeds, (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(spec.stop->rule.claims.at(1).text, "noise hurts id");
  EXPECT_EQ(spec.stop->where.at(1).key, "stop.claim[1]");
  EXPECT_EQ(spec.stop->rule.level, 0.05);
  EXPECT_EQ(spec.stop->rule.metric, "accuracy");
  const MatrixSpec more = read(with_stop(stop), {"stop.seeds=6", "matrix.seeds=[7, 2]"});
  EXPECT_EQ(more.seeds, (std::vector<std::int64_t>{7, 2, 8, 9, 10, 11}));
  const auto batch = [&](std::int64_t seed) { return more.batches.batch_of(seed); };
  EXPECT_EQ(batch(2), 0);
  EXPECT_EQ(batch(7), 0);
  EXPECT_EQ(batch(8), 1);
  EXPECT_EQ(batch(10), 1);
  EXPECT_EQ(batch(11), 2);
  EXPECT_FALSE(read(with_stop(stop), {"stop.seeds=6"}).overridden);
  EXPECT_TRUE(more.overridden);
}

TEST(MatrixReader, MistakesInStopAreNamed) {
  const std::string claim = "claim = \"nmtune > mlp on ood\"\n", rest = "effect = 0.5\nmax_seeds = 9\n";
  EXPECT_THAT(mistake(with_stop(rest)), HasSubstr("\"claim\" is missing"));
  EXPECT_THAT(mistake(with_stop("claim = []\n" + rest)), HasSubstr("stop.claim: the list of claims is empty"));
  EXPECT_THAT(mistake(with_stop("claim = [\"a > b\"]\n" + rest)),
              HasSubstr("stop.claim[0]: claim \"a > b\": add \"on id\""));
  EXPECT_THAT(mistake(with_stop("claim = [\"a > b on id\", \"a  > b on id\"]\n" + rest)), HasSubstr("listed twice"));
  EXPECT_THAT(mistake(with_stop("claim = 3\n" + rest)), HasSubstr("expected a claim in quotes, found 3"));
  EXPECT_THAT(mistake(with_stop(claim + "max_seeds = 9\n")), HasSubstr("\"effect\" is missing"));
  EXPECT_THAT(mistake(with_stop(claim + "effect = 0\nmax_seeds = 9\n")), HasSubstr("stop.effect: the smallest"));
  EXPECT_THAT(mistake(with_stop(claim + "effect = 0.5\n")), HasSubstr("\"max_seeds\" is missing"));
  EXPECT_THAT(mistake(with_stop(claim + "effect = 0.5\nmax_seeds = 1\n")),
              HasSubstr("stop.max_seeds: 1 is below the 2"));
  EXPECT_THAT(mistake(with_stop(claim + rest + "level = 5\n")), HasSubstr("stop.level: 5 is no rate"));
  EXPECT_THAT(mistake(with_stop(claim + rest + "batch = 0\n")), HasSubstr("stop.batch: 0 is below 1"));
  EXPECT_THAT(mistake(with_stop(claim + rest + "metric = \"sve\"\n")), HasSubstr("stop.metric: sve has no direction"));
  EXPECT_THAT(mistake(with_stop(claim + rest + "metric = \"acc\"\n")), HasSubstr("no metric \"acc\""));
  EXPECT_THAT(mistake(with_stop(claim + rest + "seeds = 12\n")), HasSubstr("stop.seeds: 12 is above max_seeds = 9"));
  EXPECT_THAT(mistake(with_stop(claim + rest + "claims = 1\n")), HasSubstr("did you mean \"claim\""));
  EXPECT_THAT(mistake(with_stop(claim + rest), {"matrix.seeds=[9223372036854775807]"}), HasSubstr("no seed above"));
}

std::string with_noise(const std::string& noise) {
  std::string text = testing::kTiny;
  const std::size_t begin = text.find("noise   ="), end = text.find('\n', begin);
  return text.replace(begin, end - begin, noise);
}

TEST(MatrixReader, NoiseIsATableOrAListOfThem) {
  const char* const in_line =
      R"(noise = [{ plugin = "long-tail", factor = 50 }, { plugin = "symmetric", ratio = [0.1] }])";
  const std::vector<NoiseSpec> list = read(with_noise(in_line)).pretrains[0].noise;
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].model.plugin, "long-tail");
  EXPECT_EQ(value_of(list[1].model, "ratio").where.key, "pretrain[0].noise[1].ratio");
  EXPECT_EQ(read(with_noise("")).pretrains[0].noise.size(), 0U);
  const char* const source = R"(noise = { plugin = "web", ratio = 0.1, source = { plugin = "idx", path = "x" } })";
  const NoiseSpec web = read(with_noise(source)).pretrains[0].noise.at(0);
  EXPECT_EQ(web.source->plugin, "idx");
  EXPECT_EQ(web.model.values.size(), 1U);
}

TEST(MatrixReader, NoiseThatIsNeitherIsAMistake) {
  EXPECT_THAT(mistake(with_noise("noise = \"symmetric\"")), HasSubstr("pretrain[0].noise: expected a table"));
  EXPECT_THAT(mistake(with_noise("noise = []")), HasSubstr("empty"));
  EXPECT_THAT(mistake(with_noise("noise = [{ plugin = \"clean\" }, 3]")), HasSubstr("noise[1]"));
  EXPECT_THAT(mistake(with_noise("noise = { ratio = 0.1 }")), HasSubstr("\"plugin\" is missing"));
}

TEST(MatrixReader, OverridesReachNoiseModels) {
  const std::string text = with_noise(R"(noise = [{ plugin = "long-tail" }, { plugin = "symmetric", ratio = 0.1 }])");
  const auto noise = read(text, {"pretrain.noise[1].ratio=0.4"}).pretrains[0].noise;
  EXPECT_EQ(std::get<double>(value_of(noise[1].model, "ratio").data), 0.4);
  EXPECT_EQ(noise[0].model.values.size(), 0U);
}

TEST(MatrixReader, ValuesKnowWhereTheyStand) {
  const MatrixSpec spec = read(testing::kTiny);
  const Location& where = value_of(spec.pretrains[0].encoder, "width").where;
  EXPECT_EQ(where.line, 7);
  EXPECT_EQ(where.key, "pretrain[0].encoder.width");
}

TEST(MatrixReader, OverridesReachOneElementOrAll) {
  const MatrixSpec one = read(testing::kTiny, {"tuner[1].epochs=9"}), all = read(testing::kTiny, {"tuner.epochs=9"});
  EXPECT_EQ(std::get<std::int64_t>(value_of(one.tuners[0], "epochs").data), 5);
  EXPECT_EQ(std::get<std::int64_t>(value_of(one.tuners[1], "epochs").data), 9);
  for (const PluginRef& tuner : all.tuners) EXPECT_EQ(std::get<std::int64_t>(value_of(tuner, "epochs").data), 9);
}

TEST(MatrixReader, OverridesTakeTextWithoutQuotesAndLists) {
  EXPECT_EQ(read(testing::kTiny, {"matrix.name=other"}).name, "other");
  EXPECT_EQ(read(testing::kTiny, {"matrix.seeds=[4, 5, 6]"}).seeds.size(), 3U);
  EXPECT_THAT(mistake(testing::kTiny, {"matrix.seeds=-3"}), HasSubstr("--set matrix.seeds=-3"));
}

TEST(MatrixReader, AnOverrideOfASectionsKeyIsToldItsSection) {
  EXPECT_THAT(mistake(testing::kTiny, {"seeds=[3]"}), HasSubstr("did you mean \"matrix.seeds\"?"));
}

TEST(MatrixReader, AnalysisAndEncodeHaveDefaults) {
  const std::string more =
      std::string(testing::kTiny) + "\n[analysis]\ncenter = \"row\"\nmax_rows = 100\n[encode]\nprecision = \"bf16\"\n";
  const MatrixSpec spec = read(more);
  EXPECT_TRUE(spec.analysis.center_rows);
  EXPECT_EQ(spec.analysis.max_rows, 100);
  EXPECT_EQ(spec.encode.precision, Precision::bf16);
}

TEST(MatrixReader, SaysWhatIsMissing) {
  EXPECT_THAT(mistake("[matrix]\nname = \"a\"\nseeds = [0]\n"), HasSubstr("[[pretrain]]"));
  EXPECT_THAT(mistake("[matrix]\nseeds = [0]\n"), HasSubstr("\"name\" is missing"));
  EXPECT_THAT(mistake("name = 1\n"), HasSubstr("\"matrix\" is missing"));
}

TEST(MatrixReader, AnExcludeThatNamesNothingIsAMistake) {
  EXPECT_THAT(mistake(std::string(testing::kTiny) + "\n[[exclude]]\n"), HasSubstr("every cell"));
  EXPECT_THAT(mistake(std::string(testing::kTiny) + "\n[[exclude]]\ntunr = \"mlp\"\n"),
              HasSubstr("did you mean \"tuner\""));
}

TEST(DidYouMean, FindsTypingErrorsOnly) {
  EXPECT_EQ(did_you_mean("raito", {"ratio", "seed"}), "ratio");
  EXPECT_EQ(did_you_mean("completely", {"ratio", "seed"}), "");
}

}  // namespace
}  // namespace nmlbench
