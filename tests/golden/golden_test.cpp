// Accuracy on frozen features against a plain PyTorch implementation of PAPER.md, and SVE and LSVR against NumPy.
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

constexpr int kSeeds = 5;

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

Sample accuracy_of(const std::filesystem::path& db, const std::string& tuner, const std::string& preset) {
  const SQLite::Database database(db.string());
  SQLite::Statement query(database,
                          "SELECT 100 * value FROM v_results WHERE metric = 'accuracy' AND tuner = ? AND "
                          "ifnull(tuner_params ->> 'preset', '') = ?");
  query.bind(1, tuner);
  query.bind(2, preset);
  std::vector<double> values;
  while (query.executeStep()) values.push_back(query.getColumn(0).getDouble());
  Sample sample;
  for (const double v : values) sample.mean += v / static_cast<double>(values.size());
  for (const double v : values)
    sample.deviation += (v - sample.mean) * (v - sample.mean) / static_cast<double>(values.size() - 1);
  sample.deviation = std::sqrt(sample.deviation);
  return sample;
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

  for (const auto& [tuner, preset] : {std::pair<std::string, std::string>{"linear-probe", ""},
                                      {"mlp", ""},
                                      {"nmtune", "official"},
                                      {"nmtune", "paper"}}) {
    const auto& reference = expected.at("accuracy").at(preset.empty() ? tuner : tuner + " " + preset);
    const Sample ours = accuracy_of(db, tuner, preset);
    const double other = reference.at("deviation").get<double>();
    const double error = std::sqrt((ours.deviation * ours.deviation + other * other) / kSeeds);
    EXPECT_NEAR(ours.mean, reference.at("mean").get<double>(), 4 * error + 0.1) << tuner << " " << preset;
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
