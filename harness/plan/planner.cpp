#include "plan/canonical.h"
#include "plan/checkpoint_table.h"
#include "plan/claim_subjects.h"
#include "plan/exclude.h"
#include "plan/identity_hash.h"
#include "plan/noise_table.h"
#include "plan/plan.h"
#include "plan/preprocessing.h"
#include "plan/split_table.h"
#include "plan/tasks.h"

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
        catalog_(catalog),
        inspector_(inspector),
        excluder_(spec.excludes),
        splits_(catalog, inspector, plan_.splits),
        preprocessing_(catalog, inspector),
        noises_(catalog, inspector, splits_, preprocessing_, plan_.splits),
        checkpoints_(spec, catalog, inspector, splits_, preprocessing_, noises_, plan_),
        tasks_(spec, inspector, splits_, preprocessing_, plan_) {}

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
    for (const PluginRef& tuner : spec_.tuners) add_tuners(tuner);
    for (std::size_t checkpoint = 0; checkpoint < plan_.checkpoints.size(); ++checkpoint) add_cells(checkpoint);
    if (!spec_.overridden && !plan_.tuners.empty()) excluder_.require_use();
    if (spec_.stop) require_subjects(*spec_.stop, plan_);
    plan_.canonical = canonical(plan_, spec_).dump();
    return std::move(plan_);
  }

 private:
  void add_tuners(const PluginRef& ref) {
    for (ResolvedPlugin& tuner : catalog_.expand(PluginKind::tuner, ref)) {
      for (const ResolvedPlugin& other : plan_.tuners) {
        if (other.identity() == tuner.identity()) {
          throw ConfigError(ref.where, fmt::format("tuner {} {} is there twice", tuner.name, tuner.canonical));
        }
      }
      plan_.tuners.push_back(std::move(tuner));
    }
  }

  std::size_t add_encoding(std::size_t checkpoint, std::size_t split, const Views& views = {}) {
    const auto [place, is_new] = encoding_of_.try_emplace({checkpoint, split, views.canonical}, plan_.encodings.size());
    if (is_new) {
      const Split& data = plan_.splits[split];
      std::vector<std::string> parts = {plan_.checkpoints[checkpoint].id, data.plugin.name,
                                        std::to_string(data.plugin.revision), data.facts.digest,
                                        name_of(spec_.encode.precision)};
      if (views.count > 0) parts.push_back(views.canonical);
      plan_.encodings.push_back({identity_hash("encoding/1", parts), checkpoint, split, views});
    }
    return place->second;
  }

  void add_cells(std::size_t checkpoint) {
    for (std::size_t spec = 0; spec < spec_.tasks.size(); ++spec) {
      const std::size_t task = tasks_.at(spec, checkpoint);
      // also without tuners: `nmlbench features` wants them
      add_encoding(checkpoint, plan_.tasks[task].train, plan_.tasks[task].views);
      for (const TestSet& test : plan_.tasks[task].tests) add_encoding(checkpoint, test.split);
      for (const double fraction : spec_.tasks[spec].fractions) {
        for (std::size_t tuner = 0; tuner < plan_.tuners.size(); ++tuner) {
          for (const std::int64_t seed : checkpoints_.notes(checkpoint).seeds) {
            Cell cell;
            cell.checkpoint = checkpoint;
            cell.task = task;
            cell.fraction = fraction;
            cell.tuner = tuner;
            cell.seed = seed;
            if (!excluder_.excludes(plan_, cell)) add_cell(std::move(cell));
          }
        }
      }
    }
  }

  void add_cell(Cell cell) {
    const Task& task = plan_.tasks[cell.task];
    cell.train = add_encoding(cell.checkpoint, task.train, task.views);
    for (const TestSet& test : task.tests) cell.tests.push_back(add_encoding(cell.checkpoint, test.split));
    cell.obstacle = checkpoints_.notes(cell.checkpoint).obstacle;
    if (cell.obstacle.empty()) cell.obstacle = other_width(plan_.checkpoints[cell.checkpoint], task);
    cell.id = identity_hash("cell/1", cell_parts(cell, /*content=*/true));
    cell.coordinates = identity_hash("cell", cell_parts(cell, /*content=*/false));
    plan_.cells.push_back(std::move(cell));
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
    const ResolvedPlugin& tuner = plan_.tuners[cell.tuner];
    std::vector<std::string> parts = {
        spec_.name,
        content ? plan_.encodings[cell.train].id : checkpoints_.notes(cell.checkpoint).coordinates,
        plan_.splits[task.train].plugin.identity(),
        task.name,
        fmt::format("{}", cell.fraction),
        tuner.identity(),
        content ? inspector_.files(tuner) : "",
        std::to_string(cell.seed),
        plan_.analysis.center_rows ? "row" : "column",
        std::to_string(plan_.analysis.max_rows)};
    if (task.views.count > 0) parts.push_back(task.views.canonical);
    if (keeps_more(plan_.splits[task.train].facts.info.size, cell.fraction)) parts.emplace_back("decimal fraction");
    for (std::size_t i = 0; i < task.tests.size(); ++i) {
      const TestSet& test = task.tests[i];
      parts.insert(parts.end(), {test.name, test.ood ? "ood" : "id", plan_.splits[test.split].plugin.identity(),
                                 content ? plan_.encodings[cell.tests[i]].id : ""});
      if (!test.classes.empty()) parts.push_back(fmt::format("classes {}", fmt::join(test.classes, " ")));
    }
    return parts;
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
  const Catalog& catalog_;
  const Inspector& inspector_;
  Excluder excluder_;
  Plan plan_;
  SplitTable splits_;
  PreprocessingTable preprocessing_;
  NoiseTable noises_;
  CheckpointTable checkpoints_;
  TaskMaker tasks_;
  std::map<std::tuple<std::size_t, std::size_t, std::string>, std::size_t> encoding_of_;  // with the views
  std::map<std::pair<std::int64_t, double>, bool> keeps_more_;
  std::map<std::string, std::optional<std::int64_t>> width_of_;  // encoder and shape of its samples
};

}  // namespace

Plan make_plan(const MatrixSpec& spec, const Catalog& catalog, const Inspector& inspector) {
  return Planner(spec, catalog, inspector).make();
}

}  // namespace nmlbench
