// Writes databases for the browser test: report_databases FOLDER.
//   full.sqlite   everything that a report can show: noise models, fractions, spectra, failures, hostile names
//   bare.sqlite   one cell with nothing but an in-domain accuracy
//   one.sqlite    one tuner on five noise levels
//   level.sqlite  three tuners on features that somebody else froze: one noise level, which nobody knows
//   sweep.sqlite  25 settings of three tuners on five noise levels; sweep-level.sqlite: on one of them
//   many.sqlite   25 tuners on five noise levels
//   large.sqlite  10,000 cells
#include "results/store/store.h"

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace {

using namespace nmlbench;

constexpr const char* kHostile = "</script><script>window.hacked = true</script><!--";

// One setting of a tuner.
struct Method {
  std::string tuner, params = "{}";
  double skill = 0.75;   // accuracy in-domain on clean features
  double seconds = 0.2;  // of a cell
};

struct Design {
  std::vector<std::string> encoders, noises, tasks;
  std::vector<Method> methods;
  std::vector<std::optional<double>> ratios;
  std::vector<double> fractions = {1.0};
  int seeds = 2, features = 64;
};

// Methods that differ a little in skill and cost, one setting each.
std::vector<Method> one_setting_each(const std::vector<std::string>& tuners) {
  std::vector<Method> methods;
  for (const std::string& tuner : tuners) {
    const auto i = static_cast<double>(methods.size());
    methods.push_back({tuner, "{}", 0.75 + 0.1 * i / static_cast<double>(tuners.size()), 0.2 * std::pow(2.0, i)});
  }
  return methods;
}

// The best lr is 0.01, the best weight_decay the smallest.
std::vector<Method> grid(const std::string& tuner, double skill, const std::vector<double>& lrs,
                         const std::vector<double>& decays) {
  std::vector<Method> methods;
  for (const double lr : lrs) {
    for (const double decay : decays) {
      const double off = std::log10(lr) + 2.0;
      methods.push_back({tuner, fmt::format(R"({{"epochs":30,"lr":{},"weight_decay":{}}})", lr, decay),
                         skill - 0.04 * off * off - 0.8 * decay, 0.2 + 0.1 * off});
    }
  }
  return methods;
}

// Smooth made-up results with a little spread over seeds.
double made_up_accuracy(const Method& method, double ratio, double fraction, int seed, bool ood) {
  const double spread = 0.01 * std::sin(7.0 * seed + 300.0 * method.skill);
  return (method.skill - 0.3 * ratio) * (0.6 + 0.4 * fraction) * (ood ? 0.6 : 1.0) + spread;
}

ConfusionRow made_up_confusion(const std::string& test_set, int classes, double accuracy) {
  ConfusionRow confusion{test_set, classes, {}};
  const auto right = static_cast<std::int64_t>(50.0 * accuracy);
  for (int label = 0; label < classes; ++label) {
    confusion.counts.push_back({label, label, right});
    if (classes > 1) confusion.counts.push_back({label, (label + 1) % classes, 50 - right});
  }
  return confusion;
}

std::vector<float> made_up_curve(double skill) {
  std::vector<float> loss;
  for (int epoch = 0; epoch < 30; ++epoch) {
    loss.push_back(static_cast<float>(1.5 * std::exp(-0.2 * epoch) + 1.0 - skill));
  }
  return loss;
}

std::vector<float> spectrum(int size, double decay) {
  std::vector<float> values;
  for (int i = 1; i <= size; ++i) values.push_back(static_cast<float>(std::pow(i, -decay)));
  return values;
}

CellRecord make_cell(const Design& design, const std::string& encoder, const std::string& noise,
                     std::optional<double> ratio, const std::string& task, double fraction, const Method& method,
                     int seed) {
  CellRecord cell;
  cell.coordinates = fmt::format("{} {} {} {} {} {} {} {}", encoder, noise, ratio.value_or(-1.0), task, fraction,
                                 method.tuner, method.params, seed);
  cell.cell_id = cell.coordinates;
  cell.matrix = "made-up";
  cell.encoder = encoder;
  cell.encoder_params = "{}";
  cell.pretrain_dataset = ratio ? "procedural" : "";
  cell.noise = noise;
  cell.noise_ratio = ratio;
  cell.checkpoint_id = fmt::format("{} {} {} {}", encoder, noise, ratio.value_or(-1.0), ratio ? seed : 0);
  cell.task = task;
  cell.fraction = fraction;
  cell.tuner = method.tuner;
  cell.tuner_params = method.params;
  cell.seed = seed;
  cell.status = "done";
  cell.device = "cpu";
  cell.tune_seconds = method.seconds;
  cell.evaluate_seconds = 0.01;
  cell.loss_curve = made_up_curve(method.skill);
  for (const bool ood : {false, true}) {
    const std::string test_set = ood ? "sketch" : "photo", kind = ood ? "ood" : "id";
    const double accuracy = made_up_accuracy(method, ratio.value_or(0.0), fraction, seed, ood);
    cell.metrics.push_back({test_set, kind, "accuracy", accuracy});
    cell.metrics.push_back({test_set, kind, "sve", 4.0 + accuracy});
    cell.metrics.push_back({test_set, kind, "lsvr", 2.0 + ratio.value_or(0.0)});
    cell.confusion.push_back(made_up_confusion(test_set, 12, accuracy));
    if (design.features > 0) {
      const double decay = ratio.value_or(0.0);
      cell.spectra.push_back({test_set, "raw", "column", 100, spectrum(design.features, 0.8 + decay)});
      cell.spectra.push_back({test_set, "tuned", "column", 100, spectrum(design.features, 0.5 + decay)});
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
      for (const std::optional<double> known : design.ratios) {
        if (!known) continue;
        const double ratio = *known;
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
                            design.fractions.size() * design.methods.size() * static_cast<std::size_t>(design.seeds);
  std::vector<CellRecord> cells;
  for (std::size_t i = 0; i < count; ++i) {
    Digits digits{i};
    const auto seed = static_cast<int>(digits.next(static_cast<std::size_t>(design.seeds)));
    const Method& method = digits.pick(design.methods);
    const double fraction = digits.pick(design.fractions);
    const std::string& task = digits.pick(design.tasks);
    const std::optional<double> ratio = digits.pick(design.ratios);
    const std::string& noise = digits.pick(design.noises);
    cells.push_back(make_cell(design, digits.pick(design.encoders), noise, ratio, task, fraction, method, seed));
  }
  store.write_cells(run, cells);
}

std::int64_t begin_run(Store& store) {
  return store.begin_run({"made-up", R"({"matrix":"made-up"})", "nmlbench run", "abc123", R"({"nmlbench":"0.1.0"})",
                          "host", "cpu", "", 2});
}

void write_stages(Store& store, std::int64_t run, const Design& design) {
  const std::string &encoder = design.encoders[0], &task = design.tasks[0];
  store.write_stage(run, {"pretrain", encoder, "", "", "cpu", 50'000, "images", 40, 1 << 28});
  for (const Method& method : design.methods) {
    store.write_stage(
        run, {"tune", encoder, method.tuner, task, "cpu", 10'000, "head-steps", 15.0 * method.seconds, 1 << 27});
    store.write_stage(run, {"evaluate", encoder, method.tuner, task, "cpu", 2'000, "samples", 0.5, 1 << 27});
  }
}

void write_design(const std::filesystem::path& file, const Design& design, int noisy_classes) {
  Store store = Store::open(file);
  const auto run = begin_run(store);
  write_cells(store, run, design);
  write_noise(store, run, design, noisy_classes);
  write_stages(store, run, design);
}

void write_full(const std::filesystem::path& file) {
  const Design design{.encoders = {"resnet-tiny", "vit-tiny"},
                      .noises = {"symmetric", "pair-flip"},
                      .tasks = {"general", "texture", "a task with a rather long name, as real ones have"},
                      .methods = one_setting_each({"linear-probe", "mlp", "nmtune", kHostile}),
                      .ratios = {0.0, 0.05, 0.1, 0.3},
                      .fractions = {0.1, 0.5, 1.0},
                      .seeds = 3};
  write_design(file, design, 12);
  CellRecord failed = make_cell(design, "resnet-tiny", "symmetric", 0.3, "general", 1.0, design.methods[0], 7);
  failed.status = "failed";
  failed.message = "loss is NaN at epoch 3";
  failed.metrics.clear();
  failed.spectra.clear();
  failed.confusion.clear();
  failed.loss_curve.clear();
  Store store = Store::open(file);
  store.write_cell(begin_run(store), failed);
}

void write_bare(const std::filesystem::path& file) {
  const Design design{.encoders = {"identity"},
                      .noises = {""},
                      .tasks = {"blobs"},
                      .methods = one_setting_each({"linear-probe"}),
                      .ratios = {std::nullopt},
                      .seeds = 1,
                      .features = 0};
  CellRecord cell = make_cell(design, "identity", "", std::nullopt, "blobs", 1.0, design.methods[0], 0);
  cell.metrics.resize(1);
  cell.tune_seconds.reset();
  cell.confusion.clear();
  cell.loss_curve.clear();
  Store store = Store::open(file);
  store.write_cell(begin_run(store), cell);
}

// Frozen features as most people bring them.
Design level_design() {
  return {.encoders = {"identity"},
          .noises = {""},
          .tasks = {"cars", "pets", "flowers"},
          .methods = one_setting_each({"linear-probe", "mlp", "nmtune"}),
          .ratios = {std::nullopt},
          .seeds = 5};
}

Design one_design() {
  return {.encoders = {"resnet-tiny"},
          .noises = {"symmetric"},
          .tasks = {"general", "texture"},
          .methods = one_setting_each({"linear-probe"}),
          .ratios = {0.0, 0.05, 0.1, 0.2, 0.3},
          .seeds = 3};
}

Design sweep_design() {
  Design design = one_design();
  design.methods = grid("linear-probe", 0.74, {0.0001, 0.001, 0.01, 0.1}, {0.0, 0.01, 0.1});
  const std::vector<Method> more = grid("nmtune", 0.78, {0.001, 0.003, 0.01, 0.03}, {0.0, 0.01, 0.1});
  design.methods.insert(design.methods.end(), more.begin(), more.end());
  design.methods.push_back({"mlp", R"({"hidden":4,"lr":0.001})", 0.76, 0.3});
  return design;
}

// 4 encoders x 5 ratios x 14 tasks x 12 methods x 3 seeds = 10,080 cells
Design large_design() {
  Design design{.encoders = {"resnet-50", "vit-b", "swin-l", "efficientnet-b3"},
                .noises = {"symmetric"},
                .tasks = {},
                .methods = {},
                .ratios = {0.0, 0.05, 0.1, 0.2, 0.3},
                .seeds = 3};
  for (const char* tuner : {"linear-probe", "mlp", "nmtune"}) {
    const std::vector<Method> methods = grid(tuner, 0.75, {0.1, 0.03, 0.01, 0.001}, {0.0});
    design.methods.insert(design.methods.end(), methods.begin(), methods.end());
  }
  for (int i = 0; i < 14; ++i) design.tasks.push_back(fmt::format("task-{}", i));
  return design;
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
  write_design(folder / "one.sqlite", one_design(), 12);
  write_design(folder / "level.sqlite", level_design(), 12);
  Design sweep = sweep_design();
  write_design(folder / "sweep.sqlite", sweep, 12);
  sweep.ratios = {0.1};
  write_design(folder / "sweep-level.sqlite", sweep, 12);
  Design many = one_design();
  std::vector<std::string> names;
  for (int i = 0; i < 25; ++i) names.push_back(fmt::format("tuner-{}", i));
  many.methods = one_setting_each(names);
  for (Method& method : many.methods) method.seconds = 0.1 + method.skill;
  write_design(folder / "many.sqlite", many, 12);
  write_design(folder / "large.sqlite", large_design(), 100);
  return 0;
}
