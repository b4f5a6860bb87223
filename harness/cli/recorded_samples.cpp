#include "cli/recorded_samples.h"

#include "engine/class_map.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench::cli {
namespace {

const Split& split_at(const Plan& plan, const SamplePlace& place) {
  for (const Task& task : plan.tasks) {
    if (task.name != place.task) continue;
    for (const TestSet& test : task.tests) {
      if (test.name == place.test_set) return plan.splits[test.split];
    }
  }
  throw Error("its matrix does not have it any more");
}

}  // namespace

std::string RecordedSamples::read(const std::vector<SamplePlace>& places, const std::string& what,
                                  const std::function<void(std::size_t i, const RecordedSample& sample)>& use) {
  std::map<std::string, std::string> missing;  // test set -> why
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::string name = fmt::format("{}, {}", places[i].task, places[i].test_set);
    if (missing.count(name) > 0) continue;
    try {
      use(i, sample_at(places[i]));
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception& error) {
      missing[name] = error.what();
    }
  }
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const auto& [name, why] : missing) by_reason[why].push_back(name);
  std::string note;
  for (const auto& [why, names] : by_reason)
    note += fmt::format("{}No {} of {}: {}.", note.empty() ? "" : " ", what, fmt::join(names, "; "), why);
  return note;
}

RecordedSample RecordedSamples::sample_at(const SamplePlace& place) {
  const Opened& test = opened(place);
  const torch::Tensor row = test.rows.slice(0, place.sample, place.sample + 1);
  if (test.kind == SampleKind::text) return {{}, test.dataset->texts(row).at(0)};
  return {test.dataset->samples(row, torch::kCPU), std::nullopt};
}

const RecordedSamples::Opened& RecordedSamples::opened(const SamplePlace& place) {
  Opened& test = tests_[{place.task, place.test_set}];
  if (test.dataset != nullptr) return test;
  const Planned& planned = plan_of(place.task);
  const Split& split = split_at(planned.matrix.plan, place);
  if (const std::string change = change_of(split, planned.run); !change.empty()) throw DataError(change);
  if (split.facts.info.kind == SampleKind::feature) throw Error("its samples are frozen features");
  if (planned.matrix.isolation->covers(split.plugin))
    throw Error(fmt::format("{} is not bundled, and is not loaded to look at samples", split.plugin.name));
  auto dataset = make_dataset(split.plugin);
  const SplitInfo info = dataset->open();
  const torch::Tensor rows = first_rows(info.sets, info.size);
  if (place.sample >= rows.size(0)) throw Error("the test set is smaller now");
  test = {std::move(dataset), info.kind, rows};
  return test;
}

const RecordedSamples::Planned& RecordedSamples::plan_of(const std::string& task) {
  const std::optional<RecordedRun> run = newest_run_of(store_, task);
  if (!run) throw Error("the database does not hold the matrix that it was run from");
  std::unique_ptr<Planned>& planned = plans_[run->matrix_source];
  if (planned == nullptr) {
    MatrixOptions how;
    how.device = "cpu";
    planned =
        std::make_unique<Planned>(Planned{*run, plan_recorded(globals_, how, recorded_matrix(*run, "task " + task))});
  }
  return *planned;
}

std::string quoted(const Text& sample, std::size_t longest) {
  std::string text = sample.first + (sample.second ? " / " + *sample.second : "");
  if (text.size() <= longest) return text;
  std::size_t end = longest;
  while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + " ..";
}

}  // namespace nmlbench::cli
