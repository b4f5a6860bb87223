#include "plan/tasks.h"

#include "plan/canonical.h"
#include "plan/class_match.h"
#include "plan/coordinates.h"
#include "plan/stated.h"

#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {
namespace {

// Features of another width come from another encoder. What encoders make of images is known after encoding. No encoder
// reads both texts and images.
std::string other_samples(const Split& train, const Split& test) {
  const SplitInfo &have = train.facts.info, &found = test.facts.info;
  if (!train.facts.error.empty() || !test.facts.error.empty()) return "";
  if (train.is_text() != test.is_text()) {
    return fmt::format("{}: {} has {}, and the training split {} has {}; give both the same kind of samples",
                       test.plugin.where.text(), data_of(test), test.is_text() ? "texts" : "no texts", data_of(train),
                       train.is_text() ? "texts" : "none");
  }
  if (have.kind != SampleKind::feature || found.kind != SampleKind::feature) return "";
  if (have.sample_shape == found.sample_shape) return "";
  return fmt::format(
      "{}: {} has features of {} columns, and the training split {} of {}; both must come from one encoder",
      test.plugin.where.text(), data_of(test), fmt::join(found.sample_shape, " x "), data_of(train),
      fmt::join(have.sample_shape, " x "));
}

std::string test_name(const TestSpec& test, const Split& split) {
  if (!test.name.empty()) return test.name;
  if (!split.facts.info.domain.empty()) return split.facts.info.domain;
  const std::string domain = split.plugin.parameter(Role::domain);
  const std::string declared = domain.empty() ? "" : split.plugin.params.text(domain);
  if (!declared.empty()) return declared;
  if (!test.ood) return "test";
  throw ConfigError(test.where, "the data has no domain to name this test set after; add `name`");
}

}  // namespace

std::size_t TaskMaker::at(std::size_t spec, std::size_t checkpoint) {
  const Checkpoint& own = plan_.checkpoints[checkpoint];
  const bool named = names_coordinates(spec_.tasks[spec]);
  if (named && !own.stated) {
    throw ConfigError(spec_.tasks[spec].where,
                      fmt::format("a path of task \"{}\" names coordinates of a checkpoint, and the [[pretrain]] of "
                                  "encoder {} states none; add stated = {{ noise = \"symmetric\", noise_ratio = [0, "
                                  "0.1] }}",
                                  spec_.tasks[spec].name, own.encoder.name));
  }
  const std::size_t task = named ? add(spec, own) : shared(spec, own);
  reject_features_of_two(task, checkpoint);
  return task;
}

// One task for all checkpoints whose encoders want the same of its data.
std::size_t TaskMaker::shared(std::size_t spec, const Checkpoint& checkpoint) {
  std::vector<const PluginRef*> data = {&spec_.tasks[spec].train};
  for (const TestSpec& test : spec_.tasks[spec].tests) data.push_back(&test.data);
  std::pair key{spec, preprocessing_.key(data, checkpoint.encoder)};
  const auto known = shared_.find(key);
  if (known != shared_.end()) return known->second;
  return shared_[std::move(key)] = add(spec, checkpoint);
}

std::size_t TaskMaker::add(std::size_t spec, const Checkpoint& checkpoint) {
  const TaskSpec& wanted = spec_.tasks[spec];
  Task task;
  task.name = wanted.name;
  task.spec = spec;
  task.train = split_of(wanted.train, wanted, checkpoint);
  add_views(wanted, task);
  add_tests(wanted, checkpoint, task);
  task.params = params_of(wanted, task);
  plan_.tasks.push_back(std::move(task));
  return plan_.tasks.size() - 1;
}

std::size_t TaskMaker::split_of(const PluginRef& data, const TaskSpec& spec, const Checkpoint& checkpoint) {
  const PluginRef named = names_coordinates(spec) ? at_coordinates(data, checkpoint) : data;
  return splits_.add(splits_.only(preprocessing_.fitted(named, checkpoint.encoder)));
}

void TaskMaker::add_views(const TaskSpec& spec, Task& task) const {
  if (!spec.views) return;
  task.views = read_views(*spec.views);
  const SplitFacts& facts = plan_.splits[task.train].facts;
  if (!facts.error.empty()) return;
  if (facts.info.kind == SampleKind::feature || facts.info.kind == SampleKind::text) {
    throw ConfigError(spec.views->where,
                      fmt::format("the training split has {}, and views are of images; remove `views`",
                                  facts.info.kind == SampleKind::text ? "texts" : "features"));
  }
}

void TaskMaker::add_tests(const TaskSpec& spec, const Checkpoint& checkpoint, Task& task) {
  std::set<std::string> names;
  for (const TestSpec& test : spec.tests) {
    TestSet set;
    set.split = split_of(test.data, spec, checkpoint);
    set.ood = test.ood;
    set.name = test_name(test, plan_.splits[set.split]);
    if (!names.insert(set.name).second) {
      throw ConfigError(test.where, fmt::format("task \"{}\" has two test sets called \"{}\"; give one a `name`",
                                                task.name, set.name));
    }
    ClassMatch match = match_classes(plan_.splits[task.train], plan_.splits[set.split]);
    set.classes = std::move(match.classes);
    set.obstacle = other_samples(plan_.splits[task.train], plan_.splits[set.split]);
    if (set.obstacle.empty()) set.obstacle = std::move(match.obstacle);
    task.tests.push_back(std::move(set));
  }
}

// Of the task as the matrix has it: where files' names depend on the checkpoint, it is the same for all.
const std::string& TaskMaker::params_of(const TaskSpec& spec, const Task& task) {
  std::vector<std::string> names = {std::to_string(task.spec)};
  for (const TestSet& test : task.tests) names.push_back(test.name);
  const auto [known, is_new] = params_.try_emplace(std::move(names));
  if (!is_new) return known->second;
  nlohmann::json params;
  const auto add = [&](const std::string& part, const PluginRef& data) {
    const ResolvedPlugin plugin = splits_.only(data);
    params[part] = plugin.name;
    const nlohmann::json own = params_with_files(plugin);
    for (const auto& [name, value] : own.items()) params[part + "." + name] = value;
  };
  add("train", spec.train);
  for (std::size_t i = 0; i < spec.tests.size(); ++i) add(task.tests[i].name, spec.tests[i].data);
  if (task.views.count > 0) params["views"] = nlohmann::json::parse(task.views.canonical);
  return known->second = params.dump();
}

// Levels that are stated and whose features are one file would be one encoder's under several names; and a head that is
// tested on another encoder's features than it was trained on has a score that means nothing.
void TaskMaker::reject_features_of_two(std::size_t task, std::size_t checkpoint) {
  const Split& train = plan_.splits[plan_.tasks[task].train];
  if (!plan_.checkpoints[checkpoint].stated || !train.facts.error.empty()) return;
  const Owner own{checkpoint, train.facts.digest};
  const Owner before = first_owner(task, "", train, own);
  if (before.checkpoint != checkpoint && !are_one_clean(before.checkpoint, checkpoint))
    reject_features(task, train, "training features", before.checkpoint, checkpoint);
  for (const TestSet& test : plan_.tasks[task].tests) {
    const Split& split = plan_.splits[test.split];
    if (!split.facts.error.empty() || split.facts.info.kind != SampleKind::feature) continue;
    const Owner tested = first_owner(task, test.name, split, own);
    if (tested.trained_on != own.trained_on)
      reject_features(task, split, fmt::format("features of test set \"{}\"", test.name), tested.checkpoint,
                      checkpoint);
  }
}

// The first checkpoint for which a split of a task, "" or the name of a test set, was this one.
TaskMaker::Owner TaskMaker::first_owner(std::size_t task, const std::string& part, const Split& split,
                                        const Owner& own) {
  const ResolvedPlugin& encoder = plan_.checkpoints[own.checkpoint].encoder;
  return stated_of_features_
      .try_emplace({plan_.tasks[task].spec, part, encoder.identity(), inspector_.files(encoder), split.facts.digest},
                   own)
      .first->second;
}

// Without noise, the encoders of two noise models may be one.
bool TaskMaker::are_one_clean(std::size_t a, std::size_t b) const {
  const Checkpoint &one = plan_.checkpoints[a], &other = plan_.checkpoints[b];
  return one.noise_ratio() == 0.0 && other.noise_ratio() == 0.0 && one.encoder_name() == other.encoder_name() &&
         one.stated->dataset == other.stated->dataset && one.seed == other.seed;
}

void TaskMaker::reject_features(std::size_t task, const Split& split, const std::string& what, std::size_t before,
                                std::size_t checkpoint) const {
  throw ConfigError(split.plugin.where,
                    fmt::format("task \"{}\" has the same {} for {} and for {}; name what differs in the path, as in "
                                "x = \"cars_{{encoder}}_n{{noise_ratio}}_s{{seed}}.npy\", or put right the file",
                                plan_.tasks[task].name, what, stated_name(plan_.checkpoints[before]),
                                stated_name(plan_.checkpoints[checkpoint])));
}

}  // namespace nmlbench
