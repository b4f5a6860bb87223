#include "plan/canonical.h"
#include "plan/class_match.h"
#include "plan/coordinates.h"
#include "plan/exclude.h"
#include "plan/noise_names.h"
#include "plan/plan.h"
#include "plan/preprocessing.h"
#include "plan/split_table.h"
#include "plan/stated.h"
#include "plan/tasks.h"

#include <nmlbench/digest.h>
#include <nmlbench/share.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace nmlbench {

namespace {

std::string hash(std::string_view kind, const std::vector<std::string>& parts) {
  Digest digest;
  digest.update(kind);
  for (const std::string& part : parts) digest.update(part);
  return digest.hex();
}

std::string nothing_to_train(const ResolvedPlugin& encoder) {
  for (const auto& [name, value] : encoder.differences) {
    const auto* end = encoder.entry->params + encoder.entry->param_count;
    const auto* param = std::find_if(encoder.entry->params, end, [&](const ParamSpec& p) { return p.name == name; });
    if (param == end || param->type != ParamType::path) continue;
    return fmt::format(
        "encoder {} has its weights from {} = \"{}\"; remove dataset, noise and optim to use them as they are, or "
        "{} to train from scratch",
        encoder.name, name, value, name);
  }
  return fmt::format(
      "encoder {} has nothing to train; remove dataset, noise and optim, or say in `stated` how its features were made "
      "elsewhere",
      encoder.name);
}

class Planner {
 public:
  Planner(const MatrixSpec& spec, const Catalog& catalog, const Inspector& inspector)
      : spec_(spec),
        catalog_(catalog),
        inspector_(inspector),
        excluder_(spec.excludes),
        splits_(catalog, inspector, plan_.splits),
        preprocessing_(catalog, inspector),
        tasks_(spec, inspector, splits_, preprocessing_, plan_) {}

  Plan make() {
    plan_.matrix = spec_.name;
    plan_.encode = spec_.encode;
    plan_.analysis = spec_.analysis;
    plan_.protocol = nlohmann::json{{"encode", name_of(spec_.encode.precision)},
                                    {"center", spec_.analysis.center_rows ? "row" : "column"},
                                    {"max_rows", spec_.analysis.max_rows}}
                         .dump();
    for (const PretrainSpec& pretrain : spec_.pretrains) add_checkpoints(pretrain);
    for (const PluginRef& tuner : spec_.tuners) add_tuners(tuner);
    for (std::size_t checkpoint = 0; checkpoint < plan_.checkpoints.size(); ++checkpoint) add_cells(checkpoint);
    if (!spec_.overridden && !plan_.tuners.empty()) excluder_.require_use();
    plan_.canonical = canonical(plan_, spec_).dump();
    return std::move(plan_);
  }

 private:
  void add_checkpoints(const PretrainSpec& pretrain) {
    if (pretrain.stated) return add_stated(pretrain);
    for (const ResolvedPlugin& encoder : catalog_.expand(PluginKind::encoder, pretrain.encoder)) {
      const std::optional<bool> trainable = inspector_.trainable(encoder);
      if (pretrain.dataset) {
        if (trainable == false) {
          throw ConfigError(pretrain.where, nothing_to_train(encoder));
        }
        add_trained(pretrain, encoder);
      } else {
        add_as_built(encoder, trainable.value_or(true));
      }
    }
  }

  // What changes or replaces images does nothing to texts, and is not left out in silence.
  static void reject_for_texts(const PretrainSpec& pretrain, const std::vector<Optim>& optims) {
    for (const Optim& optim : optims) {
      const Augmentation& augment = optim.augment;
      const bool mixes = optim.mixing.mixes() || optim.mixing.erasing > 0;
      if (augment.shift || augment.crop || augment.jitter > 0 || augment.operations > 0 || mixes)
        throw ConfigError(pretrain.optim.where,
                          "the data are texts, and `augment`, `jitter`, `rand_ops`, `mixup`, `cutmix` and "
                          "`random_erasing` change images; remove them");
    }
    for (const NoiseSpec& noise : pretrain.noise) {
      if (noise.source)
        throw ConfigError(noise.source->where,
                          "the data are texts, and only images or features can be replaced; "
                          "remove this noise");
    }
  }

  void add_trained(const PretrainSpec& pretrain, const ResolvedPlugin& encoder) {
    const std::vector<Optim> optims = expand_optim(pretrain.optim);
    const std::vector<std::vector<NoiseStep>> noises = expand_noise(pretrain, encoder);
    const PluginRef data = preprocessing_.fitted(*pretrain.dataset, encoder);
    for (const ResolvedPlugin& dataset : catalog_.expand(PluginKind::dataset, data)) {
      const std::size_t split = splits_.add(dataset);
      const std::optional<TestSet> validation = validation_of(pretrain, encoder, split);
      if (plan_.splits[split].is_text()) reject_for_texts(pretrain, optims);
      for (const std::vector<NoiseStep>& noise : noises) {
        for (const Optim& optim : optims) {
          for (const std::int64_t seed : spec_.seeds) {
            Checkpoint checkpoint;
            checkpoint.encoder = encoder;
            checkpoint.split = split;
            checkpoint.noise = noise;
            checkpoint.optim = optim;
            checkpoint.seed = seed;
            if (validation) checkpoint.validation = {*validation, ""};
            add_checkpoint(std::move(checkpoint));
          }
        }
      }
    }
  }

  // An obstacle is told, and costs the accuracy alone.
  std::optional<TestSet> validation_of(const PretrainSpec& pretrain, const ResolvedPlugin& encoder, std::size_t train) {
    if (!pretrain.validation) return std::nullopt;
    TestSet test;
    test.split = splits_.add(splits_.only(preprocessing_.fitted(*pretrain.validation, encoder)));
    const Split& split = plan_.splits[test.split];
    test.name = variant(split.plugin);
    ClassMatch match = match_classes(plan_.splits[train], split);
    test.classes = std::move(match.classes);
    test.obstacle = split.facts.error.empty() ? std::move(match.obstacle) : split.facts.error;
    if (test.obstacle.empty() && !(split.facts.info.sets.empty() && split.facts.info.right_classes.empty())) {
      test.obstacle = fmt::format(
          "{}: {} has several right classes for a sample, or sets of samples; name data with a "
          "label for each",
          split.plugin.where.text(), data_of(split));
    }
    return test;
  }

  // The product over the axes of all models in the list, the last one fastest.
  std::vector<std::vector<NoiseStep>> expand_noise(const PretrainSpec& pretrain, const ResolvedPlugin& encoder) {
    std::vector<NoiseSpec> models = pretrain.noise;
    if (models.empty()) models.push_back({{"clean", {}, pretrain.where}, std::nullopt});
    std::vector<std::vector<NoiseStep>> product = {{}};
    for (const NoiseSpec& spec : models) {
      std::vector<std::vector<NoiseStep>> longer;
      const std::vector<NoiseStep> axis = noise_axis(spec, encoder);
      for (const std::vector<NoiseStep>& before : product) {
        for (const NoiseStep& step : axis) {
          longer.push_back(before);
          longer.back().push_back(step);
        }
      }
      product = std::move(longer);
    }
    return product;
  }

  std::vector<NoiseStep> noise_axis(const NoiseSpec& spec, const ResolvedPlugin& encoder) {
    std::vector<NoiseStep> axis;
    std::optional<std::size_t> source;
    std::string source_name;
    if (spec.source) {
      source = splits_.add(splits_.only(preprocessing_.fitted(*spec.source, encoder)));
      source_name = variant(plan_.splits[*source].plugin);
    }
    for (ResolvedPlugin& model : catalog_.expand(PluginKind::noise, spec.model)) {
      const std::optional<bool> needs = inspector_.needs_source(model);
      if (needs == true && !source) {
        throw ConfigError(model.where, fmt::format("noise {} takes samples from another dataset and none is given; add "
                                                   "source = {{ plugin = \"NAME\", ... }}",
                                                   model.name));
      }
      if (needs == false && source) {
        throw ConfigError(spec.source->where, fmt::format("noise {} takes no `source`; remove it", model.name));
      }
      axis.push_back({std::move(model), source, source_name});
    }
    return axis;
  }

  // Random weights depend on the seed; an encoder without weights is the same under every seed.
  void add_as_built(const ResolvedPlugin& encoder, bool has_weights) {
    for (const std::int64_t seed : has_weights ? spec_.seeds : std::vector<std::int64_t>{0}) {
      Checkpoint checkpoint;
      checkpoint.encoder = encoder;
      checkpoint.seed = seed;
      add_checkpoint(std::move(checkpoint), has_weights ? std::vector{seed} : spec_.seeds);
    }
  }

  // Files that name {seed} are of encoders pre-trained with it; others are of one encoder, whose cells have every seed.
  void add_stated(const PretrainSpec& pretrain) {
    const bool of_seeds = names_coordinate(pretrain.encoder, "seed") ||
                          std::any_of(spec_.tasks.begin(), spec_.tasks.end(),
                                      [](const TaskSpec& task) { return names_coordinate(task, "seed"); });
    for (const Stated& stated : expand_stated(*pretrain.stated)) {
      for (const std::int64_t seed : of_seeds ? spec_.seeds : std::vector<std::int64_t>{0}) {
        Checkpoint checkpoint;
        checkpoint.stated = stated;
        checkpoint.seed = seed;
        checkpoint.encoder.name = pretrain.encoder.plugin;
        for (ResolvedPlugin& encoder :
             catalog_.expand(PluginKind::encoder, at_coordinates(pretrain.encoder, checkpoint))) {
          Checkpoint one = checkpoint;
          one.encoder = std::move(encoder);
          add_checkpoint(std::move(one), of_seeds ? std::vector{seed} : spec_.seeds);
        }
      }
    }
  }

  void add_checkpoint(Checkpoint checkpoint) {
    const std::int64_t seed = checkpoint.seed;
    add_checkpoint(std::move(checkpoint), {seed});
  }

  void add_checkpoint(Checkpoint checkpoint, std::vector<std::int64_t> cell_seeds) {
    if (checkpoint.trained()) reject_noise_of_one_name(checkpoint);
    std::string obstacle = missing_weights(checkpoint.encoder);
    std::vector<std::string> parts = checkpoint_parts(checkpoint, /*content=*/obstacle.empty());
    if (!obstacle.empty()) add_paths(checkpoint.encoder, parts);  // several may be missing
    checkpoint.id = hash("checkpoint/1", parts);
    if (!checkpoint_ids_.insert(checkpoint.id).second) return;
    checkpoint_obstacles_.push_back(std::move(obstacle));
    if (checkpoint.validation) {
      const Split& split = plan_.splits[checkpoint.validation->test.split];
      checkpoint.validation->id = hash(
          "upstream/1", {checkpoint.id, split.plugin.identity(), split.facts.digest, name_of(spec_.encode.precision)});
    }
    checkpoint_coordinates_.push_back(hash("checkpoint", checkpoint_parts(checkpoint, /*content=*/false)));
    cell_seeds_.push_back(std::move(cell_seeds));
    plan_.checkpoints.push_back(std::move(checkpoint));
  }

  // Weights that are not there cost the cells that want them.
  std::string missing_weights(const ResolvedPlugin& encoder) const {
    try {
      inspector_.files(encoder);
    } catch (const Error& missing) {
      return missing.what();
    }
    return "";
  }

  static void add_paths(const ResolvedPlugin& encoder, std::vector<std::string>& parts) {
    for (std::uint64_t i = 0; i < encoder.entry->param_count; ++i) {
      const ParamSpec& spec = encoder.entry->params[i];
      if (spec.type == ParamType::path) parts.push_back(encoder.params.text(spec.name));
    }
  }

  std::vector<std::string> checkpoint_parts(const Checkpoint& c, bool content) {
    std::vector<std::string> parts = {c.encoder.identity(), content ? inspector_.files(c.encoder) : "",
                                      std::to_string(c.seed)};
    if (c.trained()) {
      const Split& split = plan_.splits[*c.split];
      parts.insert(parts.end(), {split.plugin.identity(), content ? split.facts.digest : ""});
      for (const NoiseStep& step : c.noise) add_noise_parts(step, split.facts.info.size, content, parts);
      parts.push_back(c.optim.canonical);
      if (content && c.optim.name == "adamw") parts.emplace_back("one pass");  // rounds otherwise than before 0.2.0
    }
    if (c.stated) {
      parts.insert(parts.end(), {"stated", c.stated->encoder, c.stated->dataset, c.stated->noise,
                                 c.stated->noise_ratio ? fmt::format("{}", *c.stated->noise_ratio) : ""});
    }
    return parts;
  }

  void add_noise_parts(const NoiseStep& step, std::int64_t size, bool content, std::vector<std::string>& parts) {
    parts.insert(parts.end(), {step.model.identity(), content ? inspector_.files(step.model) : ""});
    const std::string ratio = step.model.parameter(Role::noise_ratio);
    if (!ratio.empty() && rounds_up(size, step.model.params.real(ratio))) parts.emplace_back("decimal ratio");
    if (!step.source) return;
    const Split& source = plan_.splits[*step.source];
    parts.insert(parts.end(), {source.plugin.identity(), content ? source.facts.digest : ""});
  }

  // Whether round_of_share() is above the rounded product in binary, which counted once, for some class that is not
  // larger than the split. Only checkpoints that this may have changed have got another identity.
  bool rounds_up(std::int64_t size, double ratio) {
    const auto [known, is_new] = rounds_up_.try_emplace({size, ratio}, false);
    for (std::int64_t n = 1; is_new && n <= size && !known->second; ++n) {
      known->second = round_of_share(ratio, n) > std::llround(static_cast<double>(n) * ratio);
    }
    return known->second;
  }

  // Results are told apart by the noise's name and ratio.
  void reject_noise_of_one_name(const Checkpoint& checkpoint) {
    std::string key = fmt::format("{} {}", checkpoint.noise_name(), checkpoint.noise_ratio().value());
    std::vector<std::string> parts;
    for (const NoiseStep& step : checkpoint.noise) add_noise_parts(step, 0, /*content=*/true, parts);
    const auto [other, is_new] = noise_of_name_.try_emplace(std::move(key), parts);
    if (is_new || other->second == parts) return;
    throw ConfigError(checkpoint.noise.front().model.where,
                      fmt::format("another noise is also called \"{}\" and results could not be told apart; give the "
                                  "files different names",
                                  checkpoint.noise_name()));
  }

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
      plan_.encodings.push_back({hash("encoding/1", parts), checkpoint, split, views});
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
          for (const std::int64_t seed : cell_seeds_[checkpoint]) {
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
    cell.obstacle = checkpoint_obstacles_[cell.checkpoint];
    if (cell.obstacle.empty()) cell.obstacle = other_width(plan_.checkpoints[cell.checkpoint], task);
    cell.id = hash("cell/1", cell_parts(cell, /*content=*/true));
    cell.coordinates = hash("cell", cell_parts(cell, /*content=*/false));
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
        content ? plan_.encodings[cell.train].id : checkpoint_coordinates_[cell.checkpoint],
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
  TaskMaker tasks_;
  std::map<std::tuple<std::size_t, std::size_t, std::string>, std::size_t> encoding_of_;  // with the views
  std::map<std::pair<std::int64_t, double>, bool> keeps_more_, rounds_up_;
  std::map<std::string, std::optional<std::int64_t>> width_of_;  // encoder and shape of its samples
  std::set<std::string> checkpoint_ids_;
  std::map<std::string, std::vector<std::string>> noise_of_name_;  // name and ratio -> identity
  std::vector<std::string> checkpoint_coordinates_, checkpoint_obstacles_;
  std::vector<std::vector<std::int64_t>> cell_seeds_;  // the seeds whose cells use a checkpoint
};

}  // namespace

Plan make_plan(const MatrixSpec& spec, const Catalog& catalog, const Inspector& inspector) {
  return Planner(spec, catalog, inspector).make();
}

}  // namespace nmlbench
