// Accuracy, loss, SVE and LSVR of each tuner on frozen features against a plain PyTorch implementation of PAPER.md,
// near enough to tell the tuners from each other, and SVE and LSVR of the features themselves against NumPy.
//
// expected.json is what reference.py printed for the features that this test writes. To make it again:
//   NMLBENCH_GOLDEN_DIR=DIR build/tests/test_golden && python3 tests/golden/reference.py DIR
#include "support/npy.h"
#include "support/program.h"

#include <nmlbench/random.h>

#include <cmath>
#include <cstdlib>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

constexpr int kSeeds = 5, kReferenceSeeds = 16;

constexpr const char* kMatrix = R"(
[matrix]
name = "golden"
seeds = [0, 1, 2, 3, 4]
[[pretrain]]
encoder = { plugin = "identity" }
[[task]]
name = "golden"
train = { plugin = "features", x = "x.npy", y = "y.npy" }
[[task.test]]
kind = "id"
data = { plugin = "features", x = "test_x.npy", y = "test_y.npy" }
[[tuner]]
plugin = "linear-probe"
[[tuner]]
plugin = "mlp"
[[tuner]]
plugin = "nmtune"
[[tuner]]
plugin = "nmtune"
preset = "paper"
)";

// Rectified, mixed blobs that overlap: far from floor and ceiling, and not linear.
void write_problem(const Scratch& scratch, const std::string& prefix, std::int64_t n) {
  constexpr std::int64_t kDim = 48, kClasses = 8;
  const Stream draws = Stream(2024).at(prefix);
  const torch::Tensor centres = Stream(2024).at("centres").normal({kClasses, kDim});
  const torch::Tensor y = draws.at("y").integers({n}, kClasses);
  const torch::Tensor z = centres.index_select(0, y) + 2.2 * draws.at("x").normal({n, kDim});
  const torch::Tensor x = (z + 0.3 * z.flip(1) * z.sin()).relu();
  scratch.write(prefix + "x.npy", npy_bytes(x, "<f4"));
  scratch.write(prefix + "y.npy", npy_bytes(y, "<i8"));
}

struct Sample {
  double mean = 0, deviation = 0;
};

Sample of_tuner(const std::filesystem::path& db, const std::string& metric, const std::string& tuner,
                const std::string& preset) {
  const SQLite::Database database(db.string());
  SQLite::Statement query(
      database,
      "SELECT value * iif(metric = 'accuracy', 100, 1) FROM v_results WHERE metric = ? AND tuner = ? AND "
      "ifnull(tuner_params ->> 'preset', '') = ?");
  query.bind(1, metric);
  query.bind(2, tuner);
  query.bind(3, preset);
  std::vector<double> values;
  while (query.executeStep()) values.push_back(query.getColumn(0).getDouble());
  Sample sample;
  for (const double v : values) sample.mean += v / static_cast<double>(values.size());
  for (const double v : values)
    sample.deviation += (v - sample.mean) * (v - sample.mean) / static_cast<double>(values.size() - 1);
  sample.deviation = std::sqrt(sample.deviation);
  return sample;
}

Sample of_reference(const nlohmann::json& expected, const std::string& metric, const std::string& tuner,
                    const std::string& preset) {
  const auto& own = expected.at("tuners").at(preset.empty() ? tuner : tuner + " " + preset).at(metric);
  return {own.at("mean").get<double>(), own.at("deviation").get<double>()};
}

// Four standard errors of a difference of two means, and what float32 rounds.
double tolerance(const Sample& reference) {
  const double n = kSeeds, m = kReferenceSeeds;
  return 4 * reference.deviation * std::sqrt(1 / n + 1 / m) + 1e-4 * std::abs(reference.mean);
}

TEST(Golden, TunersReachWhatPlainPyTorchReaches) {
  const Scratch scratch;
  write_problem(scratch, "", 1200);
  write_problem(scratch, "test_", 3000);
  if (const char* keep = std::getenv("NMLBENCH_GOLDEN_DIR")) {
    std::filesystem::copy(scratch.path(), keep,
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  }
  scratch.write("golden.toml", kMatrix);
  const Finished finished = run(scratch, {"run", "golden.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto db = scratch / "nmlbench.sqlite";
  const auto expected = nlohmann::json::parse(read_text(NMLBENCH_SOURCE_DIR "/tests/golden/expected.json"));

  const std::vector<std::pair<std::string, std::string>> tuners = {
      {"linear-probe", ""}, {"mlp", ""}, {"nmtune", "official"}, {"nmtune", "paper"}};
  for (const std::string metric : {"accuracy", "loss", "sve", "lsvr"}) {
    for (const auto& [tuner, preset] : tuners) {
      const Sample reference = of_reference(expected, metric, tuner, preset);
      EXPECT_NEAR(of_tuner(db, metric, tuner, preset).mean, reference.mean, tolerance(reference))
          << metric << " " << tuner << " " << preset;
    }
  }
  // one tuner's numbers would not pass for another's
  for (std::size_t i = 0; i < tuners.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      bool apart = false;
      for (const std::string metric : {"accuracy", "loss", "sve", "lsvr"}) {
        const Sample one = of_reference(expected, metric, tuners[i].first, tuners[i].second);
        const Sample other = of_reference(expected, metric, tuners[j].first, tuners[j].second);
        apart = apart || std::abs(one.mean - other.mean) > 1.5 * (tolerance(one) + tolerance(other));
      }
      EXPECT_TRUE(apart) << tuners[i].first << " " << tuners[i].second << " and " << tuners[j].first << " "
                         << tuners[j].second;
    }
  }

  const SQLite::Database database(db.string());
  for (const char* metric : {"sve", "lsvr"}) {
    SQLite::Statement query(database,
                            "SELECT value FROM v_results WHERE tuner = 'linear-probe' AND metric = ? LIMIT 1");
    query.bind(1, metric);
    ASSERT_TRUE(query.executeStep());
    EXPECT_NEAR(query.getColumn(0).getDouble(), expected.at("spectrum").at(metric).get<double>(), 1e-5) << metric;
  }
}

}  // namespace
}  // namespace nmlbench::testing
