// Databases of any size with results that look like real ones: accuracies fall with noise, tuners differ, seeds
// scatter.
#pragma once

#include "results/store/store.h"
#include "support/answers.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace nmlbench::testing {

struct SyntheticShape {
  int tasks = 3;
  int seeds = 3;
  int tuners = 3;    // linear-probe, tuner-1, ...
  int variants = 1;  // settings of each tuner
  std::vector<double> ratios = {0.0, 0.1, 0.3};
  std::vector<double> fractions = {1.0};
  int ood_sets = 2;
  std::vector<std::string> metrics = {"accuracy", "loss", "ece", "sve", "lsvr", "sve_raw", "lsvr_raw"};
  int first_seed = 0;
  int samples = 0;  // of a test set, with predictions, which then make the accuracy; 0: none
};

// In [0, 1), the same for the same arguments.
inline double scatter(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = (a * 0x9e3779b97f4a7c15U) ^ (b * 0xbf58476d1ce4e5b9U);
  x ^= x >> 30U;
  x *= 0xbf58476d1ce4e5b9U;
  x ^= x >> 27U;
  x *= 0x94d049bb133111ebU;
  return static_cast<double>((x ^ (x >> 31U)) >> 11U) * 0x1p-53;
}

inline double synthetic_value(int task, int seed, int tuner, int variant, double ratio, double fraction, int set,
                              std::size_t metric) {
  const auto where =
      static_cast<std::uint64_t>(((task * 1000 + seed) * 100 + set) * 50 + static_cast<int>(100 * ratio));
  const double shared = 0.02 * scatter(where, metric);
  const double own = 0.03 * scatter(where, 1000 + metric * 100 + static_cast<std::uint64_t>(tuner * 10 + variant));
  const double clean = 0.9 - 0.02 * task - (set > 0 ? 0.25 + 0.03 * set : 0.0) - 0.1 * (1.0 - fraction);
  return clean - ratio * (set > 0 ? 0.6 : 0.2) * (1.0 - 0.15 * tuner) + 0.01 * variant + shared + own;
}

// Adds what the head answers on a test set, of 7 classes: about as often right as the value says. Heads agree on what
// is difficult.
inline void add_answers(CellRecord& cell, const std::string& test_set, int set, int samples, double accuracy) {
  std::vector<std::int64_t> labels, predicted;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(samples); ++i) {
    labels.push_back(static_cast<std::int64_t>(i % 7));
    const double difficulty = 0.7 * scatter(i, static_cast<std::uint64_t>(set)) +
                              0.3 * scatter(i, std::hash<std::string>()(cell.coordinates + test_set));
    predicted.push_back(difficulty < accuracy ? labels.back() : (labels.back() + 1 + static_cast<int>(i % 3)) % 7);
  }
  cell = with_answers(std::move(cell), test_set, set == 0 ? "id" : "ood", labels, predicted, 7);
}

// Cells in the order that a run finishes them.
inline std::vector<CellRecord> synthetic_cells(const SyntheticShape& shape) {
  std::vector<CellRecord> cells;
  for (const double ratio : shape.ratios) {
    for (int seed = shape.first_seed; seed < shape.first_seed + shape.seeds; ++seed) {
      for (int task = 0; task < shape.tasks; ++task) {
        for (const double fraction : shape.fractions) {
          for (int tuner = 0; tuner < shape.tuners * shape.variants; ++tuner) {
            const int kind = tuner / shape.variants, variant = tuner % shape.variants;
            CellRecord& cell = cells.emplace_back();
            cell.coordinates = fmt::format("{}/{}/{}/{}/{}", ratio, seed, task, fraction, tuner);
            cell.cell_id = fmt::format("{:016x}{:016x}", static_cast<std::uint64_t>(0x1p63 * scatter(cells.size(), 7)),
                                       std::hash<std::string>()(cell.coordinates));
            cell.matrix = "synthetic";
            cell.encoder = "resnet-tiny";
            cell.encoder_params = R"({"width":32})";
            cell.pretrain_dataset = "procedural";
            cell.noise = "symmetric";
            cell.noise_ratio = ratio;
            cell.checkpoint_id = fmt::format("checkpoint-{}-{}", ratio, seed);
            cell.task = fmt::format("task-{}", task);
            cell.fraction = fraction;
            cell.tuner = kind == 0 ? "linear-probe" : fmt::format("tuner-{}", kind);
            cell.tuner_params = fmt::format(R"({{"lr":{}}})", std::pow(10.0, -variant));
            cell.seed = seed;
            cell.status = "done";
            cell.device = "cpu";
            cell.tune_seconds = 0.5 * (kind + 1);
            cell.evaluate_seconds = 0.1;
            for (int set = 0; set <= shape.ood_sets; ++set) {
              const std::string name = set == 0 ? "photo" : fmt::format("domain-{}", set);
              for (std::size_t m = 0; m < shape.metrics.size(); ++m) {
                const double value = synthetic_value(task, seed, kind, variant, ratio, fraction, set, m);
                if (shape.samples > 0 && shape.metrics[m] == "accuracy") {
                  add_answers(cell, name, set, shape.samples, value);
                  continue;
                }
                cell.metrics.push_back({name, set == 0 ? "id" : "ood", shape.metrics[m], value});
              }
            }
          }
        }
      }
    }
  }
  return cells;
}

inline RunRecord synthetic_run() {
  return {"synthetic",
          R"({"matrix":"synthetic"})",
          "nmlbench run synthetic",
          "abc123",
          R"({"nmlbench":"0.1.0"})",
          "host",
          "cpu",
          "",
          2};
}

inline void write_synthetic(const std::filesystem::path& file, const SyntheticShape& shape) {
  Store store = Store::open(file);
  store.write_cells(store.begin_run(synthetic_run()), synthetic_cells(shape));
}

}  // namespace nmlbench::testing
