#include "plan/canonical.h"
#include "plan/checkpoint_table.h"
#include "plan/claim_subjects.h"
#include "plan/exclude.h"
#include "plan/identity_hash.h"
#include "plan/noise_table.h"
#include "plan/plan.h"
#include "plan/preprocessing.h"
#include "plan/split_table.h"
#include "plan/task_noise.h"
#include "plan/tasks.h"
#include "plan/tuner_table.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

namespace nmlbench {

namespace {

class Planner {
 public:
  Planner(const MatrixSpec& spec, const Catalog& catalog, const Inspector& inspector)
      : spec_(spec),
        inspector_(inspector),
        excluder_(spec.excludes),
        splits_(catalog, inspector, plan_.splits),
        preprocessing_(catalog, inspector),
        noises_(catalog, inspector, splits_, preprocessing_, plan_.splits),
        checkpoints_(spec, catalog, inspector, splits_, preprocessing_, noises_, plan_),
        tasks_(spec, inspector, splits_, preprocessing_, plan_),
        tuners_(spec, catalog, plan_),
        task_noises_(catalog, inspector, plan_) {}

  Plan make() {
    plan_.matrix = spec_.name;
    plan_.batches = spec_.batches;
    plan_.encode = spec_.encode;
    plan_.analysis = spec_.analysis;
    plan_.protocol = nlohmann::json{{"encode", name_of(spec_.encode.precision)},
                                    {"center", spec_.analysis.center_rows ? "row" : "column"},
                                    {"max_rows", spec_.analysis.max_rows}}
                         .dump();
    for (const PretrainSpec& pretrain : spec_.pretrains) checkpoints_.add(pretrain);
    tuners_.fill();
    for (const TaskSpec& task : spec_.tasks) noises_of_task_.push_back(task_noises_.axis(task));
    for (std::size_t checkpoint = 0; checkpoint < plan_.checkpoints.size(); ++checkpoint) add_cells(checkpoint);
    if (!spec_.overridden && !plan_.tuners.empty()) excluder_.require_use();
    if (spec_.stop) require_subjects(*spec_.stop, plan_);
    plan_.canonical = canonical(plan_, spec_).dump();
    return std::move(plan_);
  }

 private:
  std::size_t add_encoding(std::size_t checkpoint, std::size_t readout, std::size_t split, const Views& views = {}) {
    const auto [place, is_new] =
        encoding_of_.try_emplace({checkpoint, readout, split, views.canonical}, plan_.encodings.size());
    if (is_new) {
      const Split& data = plan_.splits[split];
      std::vector<std::string> parts = {plan_.checkpoints[checkpoint].id, data.plugin.name,
                                        std::to_string(data.plugin.revision), data.facts.digest,
                                        name_of(spec_.encode.precision)};
      if (views.count > 0) parts.push_back(views.canonical);
      add_readout(checkpoint, readout, parts);
      plan_.encodings.push_back({identity_hash("encoding/1", parts), checkpoint, readout, split, views});
    }
    return place->second;
  }

  // The default is no part of identities, so that a parameter that an encoder gets later changes none.
  void add_readout(std::size_t checkpoint, std::size_t readout, std::vector<std::string>& parts) const {
    const std::string& id = plan_.checkpoints[checkpoint].readouts[readout].readout_id;
    if (!id.empty()) parts.push_back("readout " + id);
  }

  void add_cells(std::size_t checkpoint) {
    for (std::size_t i = 0; i < plan_.checkpoints[checkpoint].readouts.size(); ++i) add_cells(checkpoint, i);
  }

  void add_cells(std::size_t checkpoint, std::size_t readout) {
    for (std::size_t spec = 0; spec < spec_.tasks.size(); ++spec) {
      const std::size_t task = tasks_.at(spec, checkpoint);
      // also without tuners: `nmlbench features` wants them
      add_encoding(checkpoint, readout, plan_.tasks[task].train, plan_.tasks[task].views);
      for (const TestSet& test : plan_.tasks[task].tests) add_encoding(checkpoint, readout, test.split);
      plan_.tasks[task].noises = noises_of_task_[spec];
      for (const std::optional<std::size_t>& noise : noises_of_task_[spec]) {
        for (const double fraction : spec_.tasks[spec].fractions) {
          Cell cell;
          cell.checkpoint = checkpoint;
          cell.readout = readout;
          cell.task = task;
          cell.noise = noise;
          cell.fraction = fraction;
          add_heads(std::move(cell));
        }
      }
    }
  }

  // A cell for each tuner and seed.
  void add_heads(Cell cell) {
    for (const Method& method : tuners_.methods()) {
      cell.tuner = method.tuner;
      cell.grid = method.grid;
      for (const std::int64_t seed : checkpoints_.notes(cell.checkpoint).seeds) {
        cell.seed = seed;
        if (!excluder_.excludes(plan_, cell)) add_cell(cell);
      }
    }
  }

  void add_cell(Cell cell) {
    const Task& task = plan_.tasks[cell.task];
    cell.train = add_encoding(cell.checkpoint, cell.readout, task.train, task.views);
    for (const TestSet& test : task.tests) {
      cell.tests.push_back(add_encoding(cell.checkpoint, cell.readout, test.split));
    }
    if (cell.grid) prepare_selection(cell);
    cell.obstacle = checkpoints_.notes(cell.checkpoint).obstacle;
    if (cell.obstacle.empty()) cell.obstacle = other_width(plan_.checkpoints[cell.checkpoint], task);
    cell.id = identity_hash("cell/1", cell_parts(cell, /*content=*/true));
    cell.coordinates = identity_hash("cell", cell_parts(cell, /*content=*/false));
    plan_.cells.push_back(std::move(cell));
  }

  // What has to be there for its candidates to be scored.
  void prepare_selection(Cell& cell) {
    const Task& task = plan_.tasks[cell.task];
    const Selection& selection = *plan_.selection;
    if (selection.parts() > 0 && !plan_.tuners[cell.tuner].moves_encoder()) {
      add_encoding(cell.checkpoint, cell.readout, task.train);
    }
    if (selection.rule == Selection::Rule::holdout && !selection.refit) cell.part = 0;
    const bool has_id =
        std::any_of(task.tests.begin(), task.tests.end(), [](const TestSet& test) { return !test.ood; });
    if (selection.rule == Selection::Rule::oracle && !has_id) {
      throw ConfigError(
          spec_.tasks[task.spec].where,
          fmt::format("task \"{}\" has no test set of kind id, by which rule = \"oracle\" chooses", task.name));
    }
  }

  // An encoder without anything to learn (pixels) may make features of another width of images of another size.
  std::string other_width(const Checkpoint& checkpoint, const Task& task) {
    const SplitFacts& have = plan_.splits[task.train].facts;
    if (checkpoint.trained() || !have.error.empty() || have.info.kind == SampleKind::feature) return "";
    for (const TestSet& test : task.tests) {
      const SplitFacts& found = plan_.splits[test.split].facts;
      if (!found.error.empty() || found.info.kind == SampleKind::feature ||
          found.info.sample_shape == have.info.sample_shape) {
        continue;
      }
      const auto width = untrained_width(checkpoint.encoder, have.info),
                 other = untrained_width(checkpoint.encoder, found.info);
      if (!width || !other || *width == *other) continue;
      return fmt::format(
          "{}: the encoder {} makes {} features of each image of {} ({}) and {} of the training split's ({}); bring "
          "them to one size and colour",
          plan_.splits[test.split].plugin.where.text(), checkpoint.encoder.name, *other,
          data_of(plan_.splits[test.split]), fmt::join(found.info.sample_shape, " x "), *width,
          fmt::join(have.info.sample_shape, " x "));
    }
    return "";
  }

  std::optional<std::int64_t> untrained_width(const ResolvedPlugin& encoder, const SplitInfo& samples) {
    const std::string key = fmt::format("{} {}", encoder.identity(), fmt::join(samples.sample_shape, " "));
    const auto [known, is_new] = width_of_.try_emplace(key);
    if (is_new && inspector_.trainable(encoder) == false) known->second = inspector_.feature_dim(encoder, samples);
    return known->second;
  }

  std::vector<std::string> cell_parts(const Cell& cell, bool content) {
    const Task& task = plan_.tasks[cell.task];
    std::vector<std::string> parts = {
        spec_.name,
        content ? plan_.encodings[cell.train].id : checkpoints_.notes(cell.checkpoint).coordinates,
        plan_.splits[task.train].plugin.identity(),
        task.name,
        fmt::format("{}", cell.fraction),
        tuner_identity(plan_, {cell.tuner, cell.grid}),
        content ? files_of_tuner(cell) : "",
        std::to_string(cell.seed),
        plan_.analysis.center_rows ? "row" : "column",
        std::to_string(plan_.analysis.max_rows)};
    if (task.views.count > 0) parts.push_back(task.views.canonical);
    if (!content) add_readout(cell.checkpoint, cell.readout, parts);
    if (cell.noise) task_noises_.add_parts(*cell.noise, content, parts);
    if (keeps_more(plan_.splits[task.train].facts.info.size, cell.fraction)) parts.emplace_back("decimal fraction");
    for (std::size_t i = 0; i < task.tests.size(); ++i) {
      const TestSet& test = task.tests[i];
      parts.insert(parts.end(), {test.name, test.ood ? "ood" : "id", plan_.splits[test.split].plugin.identity(),
                                 content ? plan_.encodings[cell.tests[i]].id : ""});
      if (!test.classes.empty()) parts.push_back(fmt::format("classes {}", fmt::join(test.classes, " ")));
    }
    return parts;
  }

  std::string files_of_tuner(const Cell& cell) const {
    if (!cell.grid) return inspector_.files(plan_.tuners[cell.tuner]);
    std::string files;
    for (const std::size_t candidate : plan_.grids[*cell.grid].candidates) {
      files += inspector_.files(plan_.tuners[candidate]) + "\n";
    }
    return files;
  }

  // Whether subset_size() is above the product in binary, which counted once, for some class that is not larger than
  // the split. Only cells that this changed have got another identity.
  bool keeps_more(std::int64_t size, double fraction) {
    const auto [known, is_new] = keeps_more_.try_emplace({size, fraction}, false);
    for (std::int64_t n = 1; is_new && fraction < 1.0 && n <= size && !known->second; ++n) {
      const auto binary = static_cast<std::int64_t>(static_cast<double>(n) * fraction);
      known->second = subset_size(n, fraction) > std::max<std::int64_t>(1, binary);
    }
    return known->second;
  }

  const MatrixSpec& spec_;
  const Inspector& inspector_;
  Excluder excluder_;
  Plan plan_;
  SplitTable splits_;
  PreprocessingTable preprocessing_;
  NoiseTable noises_;
  CheckpointTable checkpoints_;
  TaskMaker tasks_;
  TunerTable tuners_;
  // Checkpoint, readout, split, views.
  std::map<std::tuple<std::size_t, std::size_t, std::size_t, std::string>, std::size_t> encoding_of_;
  TaskNoiseTable task_noises_;
  std::vector<std::vector<std::optional<std::size_t>>> noises_of_task_;  // of MatrixSpec::tasks
  std::map<std::pair<std::int64_t, double>, bool> keeps_more_;
  std::map<std::string, std::optional<std::int64_t>> width_of_;  // encoder and shape of its samples
};

}  // namespace

Plan make_plan(const MatrixSpec& spec, const Catalog& catalog, const Inspector& inspector) {
  return Planner(spec, catalog, inspector).make();
}

}  // namespace nmlbench
