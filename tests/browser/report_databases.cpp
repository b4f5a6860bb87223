// Writes databases for the browser test: report_databases FOLDER.
//   full.sqlite   everything that a report can show: noise models, fractions, spectra, failures, hostile names
//   bare.sqlite   one cell with nothing but an in-domain accuracy
//   large.sqlite  10,000 cells
#include "results/store/store.h"

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace {

using namespace nmlbench;

constexpr const char* kHostile = "</script><script>window.hacked = true</script><!--";

struct Design {
  std::vector<std::string> encoders, noises, tasks, tuners, tuner_params;
  std::vector<double> ratios, fractions;
  int seeds = 2, features = 64;
};

// Smooth made-up results with a little spread over seeds.
double made_up_accuracy(const Design& design, std::size_t tuner, double ratio, double fraction, int seed, bool ood) {
  const double skill = 0.75 + 0.1 * static_cast<double>(tuner) / static_cast<double>(design.tuners.size());
  const double spread = 0.01 * std::sin(7.0 * seed + 3.0 * static_cast<double>(tuner));
  return (skill - 0.3 * ratio) * (0.6 + 0.4 * fraction) * (ood ? 0.6 : 1.0) + spread;
}

std::vector<float> spectrum(int size, double decay) {
  std::vector<float> values;
  for (int i = 1; i <= size; ++i) values.push_back(static_cast<float>(std::pow(i, -decay)));
  return values;
}

CellRecord make_cell(const Design& design, const std::string& encoder, const std::string& noise, double ratio,
                     const std::string& task, double fraction, std::size_t tuner, const std::string& params, int seed) {
  CellRecord cell;
  cell.coordinates = fmt::format("{} {} {} {} {} {} {} {}", encoder, noise, ratio, task, fraction, tuner, params, seed);
  cell.cell_id = cell.coordinates;
  cell.matrix = "made-up";
  cell.encoder = encoder;
  cell.encoder_params = "{}";
  cell.pretrain_dataset = "procedural";
  cell.noise = noise;
  cell.noise_ratio = ratio;
  cell.checkpoint_id = fmt::format("{} {} {} {}", encoder, noise, ratio, seed);
  cell.task = task;
  cell.fraction = fraction;
  cell.tuner = design.tuners[tuner];
  cell.tuner_params = params;
  cell.seed = seed;
  cell.status = "done";
  cell.device = "cpu";
  cell.tune_seconds = 0.2 * std::pow(2.0, static_cast<double>(tuner));
  cell.evaluate_seconds = 0.01;
  for (const bool ood : {false, true}) {
    const std::string test_set = ood ? "sketch" : "photo", kind = ood ? "ood" : "id";
    const double accuracy = made_up_accuracy(design, tuner, ratio, fraction, seed, ood);
    cell.metrics.push_back({test_set, kind, "accuracy", accuracy});
    cell.metrics.push_back({test_set, kind, "sve", 4.0 + accuracy});
    cell.metrics.push_back({test_set, kind, "lsvr", 2.0 + ratio});
    if (design.features > 0) {
      cell.spectra.push_back({test_set, "raw", "column", 100, spectrum(design.features, 0.8 + ratio)});
      cell.spectra.push_back({test_set, "tuned", "column", 100, spectrum(design.features, 0.5 + ratio)});
    }
  }
  return cell;
}

std::string symmetric_transition(int classes, double ratio) {
  std::vector<std::string> rows;
  for (int i = 0; i < classes; ++i) {
    std::vector<double> row(static_cast<std::size_t>(classes), ratio / (classes - 1));
    row[static_cast<std::size_t>(i)] = 1 - ratio;
    rows.push_back(fmt::format("[{}]", fmt::join(row, ",")));
  }
  return fmt::format("[{}]", fmt::join(rows, ","));
}

void write_noise(Store& store, std::int64_t run, const Design& design, int classes) {
  for (const auto& encoder : design.encoders) {
    for (const auto& noise : design.noises) {
      for (const double ratio : design.ratios) {
        const std::string id = fmt::format("{} {} {} 0", encoder, noise, ratio);
        store.write_noise(
            run, {id, encoder, "procedural", noise, ratio, 0, 0.98 * ratio, symmetric_transition(classes, ratio)});
      }
    }
  }
}

// The digits of a number whose places have the sizes of the axes: every number is one combination.
struct Digits {
  std::size_t number;
  std::size_t next(std::size_t size) {
    const std::size_t digit = number % size;
    number /= size;
    return digit;
  }
  template <typename T>
  const T& pick(const std::vector<T>& axis) {
    return axis[next(axis.size())];
  }
};

void write_cells(Store& store, std::int64_t run, const Design& design) {
  const std::size_t count = design.encoders.size() * design.noises.size() * design.ratios.size() * design.tasks.size() *
                            design.fractions.size() * design.tuners.size() * design.tuner_params.size() *
                            static_cast<std::size_t>(design.seeds);
  std::vector<CellRecord> cells;
  for (std::size_t i = 0; i < count; ++i) {
    Digits digits{i};
    const auto seed = static_cast<int>(digits.next(static_cast<std::size_t>(design.seeds)));
    const std::string& params = digits.pick(design.tuner_params);
    const std::size_t tuner = digits.next(design.tuners.size());
    const double fraction = digits.pick(design.fractions);
    const std::string& task = digits.pick(design.tasks);
    const double ratio = digits.pick(design.ratios);
    const std::string& noise = digits.pick(design.noises);
    cells.push_back(make_cell(design, digits.pick(design.encoders), noise, ratio, task, fraction, tuner, params, seed));
  }
  store.write_cells(run, cells);
}

std::int64_t begin_run(Store& store) {
  return store.begin_run({"made-up", R"({"matrix":"made-up"})", "nmlbench run", "abc123", R"({"nmlbench":"0.1.0"})",
                          "host", "cpu", "", 2});
}

void write_stages(Store& store, std::int64_t run, const Design& design) {
  store.write_stage(run, {"pretrain", design.encoders[0], "", "", "cpu", 50'000, "images", 40, 1 << 28});
  for (std::size_t i = 0; i < design.tuners.size(); ++i) {
    const double seconds = 3.0 * std::pow(2.0, static_cast<double>(i));
    store.write_stage(run, {"tune", design.encoders[0], design.tuners[i], design.tasks[0], "cpu", 10'000, "head-steps",
                            seconds, 1 << 27});
    store.write_stage(run, {"evaluate", design.encoders[0], design.tuners[i], design.tasks[0], "cpu", 2'000, "samples",
                            0.5, 1 << 27});
  }
}

void write_full(const std::filesystem::path& file) {
  const Design design{.encoders = {"resnet-tiny", "vit-tiny"},
                      .noises = {"symmetric", "pair-flip"},
                      .tasks = {"general", "texture", "a task with a rather long name, as real ones have"},
                      .tuners = {"linear-probe", "mlp", "nmtune", kHostile},
                      .tuner_params = {"{}"},
                      .ratios = {0.0, 0.05, 0.1, 0.3},
                      .fractions = {0.1, 0.5, 1.0},
                      .seeds = 3};
  Store store = Store::open(file);
  const auto run = begin_run(store);
  write_cells(store, run, design);
  write_noise(store, run, design, 12);
  write_stages(store, run, design);
  CellRecord failed = make_cell(design, "resnet-tiny", "symmetric", 0.3, "general", 1.0, 0, "{}", 7);
  failed.status = "failed";
  failed.message = "loss is NaN at epoch 3";
  failed.metrics.clear();
  failed.spectra.clear();
  store.write_cell(run, failed);
}

void write_bare(const std::filesystem::path& file) {
  const Design design{.encoders = {"identity"},
                      .noises = {""},
                      .tasks = {"blobs"},
                      .tuners = {"linear-probe"},
                      .tuner_params = {"{}"},
                      .ratios = {0.0},
                      .fractions = {1.0},
                      .seeds = 1,
                      .features = 0};
  CellRecord cell = make_cell(design, "identity", "", 0.0, "blobs", 1.0, 0, "{}", 0);
  cell.metrics.resize(1);
  cell.tune_seconds.reset();
  Store store = Store::open(file);
  store.write_cell(begin_run(store), cell);
}

// 4 encoders x 5 ratios x 14 tasks x 3 tuners x 4 settings x 3 seeds = 10,080 cells
void write_large(const std::filesystem::path& file) {
  Design design{.encoders = {"resnet-50", "vit-b", "swin-l", "efficientnet-b3"},
                .noises = {"symmetric"},
                .tasks = {},
                .tuners = {"linear-probe", "mlp", "nmtune"},
                .tuner_params = {R"({"lr":0.1})", R"({"lr":0.03})", R"({"lr":0.01})", R"({"lr":0.001})"},
                .ratios = {0.0, 0.05, 0.1, 0.2, 0.3},
                .fractions = {1.0},
                .seeds = 3,
                .features = 64};
  for (int i = 0; i < 14; ++i) design.tasks.push_back(fmt::format("task-{}", i));
  Store store = Store::open(file);
  const auto run = begin_run(store);
  write_cells(store, run, design);
  write_noise(store, run, design, 100);
  write_stages(store, run, design);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: report_databases FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  write_full(folder / "full.sqlite");
  write_bare(folder / "bare.sqlite");
  write_large(folder / "large.sqlite");
  return 0;
}
