#include "plan/canonical.h"

namespace nmlbench {
namespace {

using nlohmann::json;

// One text, or a list of them for a composition.
json noise_identities(const std::vector<NoiseStep>& noise) {
  json identities = json::array();
  for (const NoiseStep& step : noise) {
    identities.push_back(step.model.identity());
    if (step.source) identities.back() = {{"model", step.model.identity()}, {"source", *step.source}};
  }
  return identities.size() == 1 ? identities.front() : identities;
}

json stated_json(const Stated& stated) {
  json all = {{"encoder", stated.encoder}, {"dataset", stated.dataset}, {"noise", stated.noise}};
  if (stated.noise_ratio) all["noise_ratio"] = *stated.noise_ratio;
  if (stated.realised_rate) all["realised_rate"] = *stated.realised_rate;
  return all;
}

}  // namespace

json params_with_files(const ResolvedPlugin& plugin) {
  json params = json::parse(plugin.canonical);
  const json readout = plugin.readout.empty() ? json::object() : json::parse(plugin.readout);
  for (const auto& [name, value] : plugin.params.values()) {
    const auto* path = std::get_if<std::string>(&value);  // other text is canonical
    if (path == nullptr || path->empty() || params.contains(name) || readout.contains(name)) continue;
    params[name] = std::filesystem::path(*path).filename().string();
  }
  return params;
}

json canonical(const Plan& plan, const MatrixSpec& spec) {
  json splits = json::array(), checkpoints = json::array(), tasks = json::array(), tuners = json::array();
  for (const Split& split : plan.splits)
    splits.push_back({{"data", split.plugin.identity()}, {"digest", split.facts.digest}});
  for (const Checkpoint& c : plan.checkpoints) {
    json entry = {{"id", c.id}, {"encoder", c.encoder.identity()}, {"seed", c.seed}};
    for (const ResolvedPlugin& read : c.readouts) {
      if (!read.readout.empty()) entry["readouts"].push_back(json::parse(read.readout));
    }
    if (c.trained()) {
      entry["split"] = *c.split;
      entry["noise"] = noise_identities(c.noise);
      entry["optim"] = json::parse(c.optim.canonical);
      if (c.validation) entry["validation"] = c.validation->test.split;
    }
    if (c.stated) entry["stated"] = stated_json(*c.stated);
    checkpoints.push_back(std::move(entry));
  }
  for (std::size_t t = 0; t < plan.tasks.size(); ++t) {
    json tests = json::array();
    for (const TestSet& test : plan.tasks[t].tests) {
      tests.push_back({{"name", test.name}, {"kind", test.ood ? "ood" : "id"}, {"split", test.split}});
    }
    tasks.push_back({{"name", plan.tasks[t].name},
                     {"train", plan.tasks[t].train},
                     {"fraction", spec.tasks[plan.tasks[t].spec].fractions},
                     {"test", std::move(tests)}});
    for (const std::optional<std::size_t>& noise : plan.tasks[t].noises) {
      if (noise) tasks.back()["noise"].push_back(noise_identities(plan.task_noises[*noise]));
    }
    if (plan.tasks[t].views.count > 0) tasks.back()["views"] = json::parse(plan.tasks[t].views.canonical);
  }
  for (const ResolvedPlugin& tuner : plan.tuners) tuners.push_back(tuner.identity());
  json all = {
      {"name", spec.name},
      {"seeds", spec.seeds},
      {"splits", std::move(splits)},
      {"checkpoints", std::move(checkpoints)},
      {"tasks", std::move(tasks)},
      {"tuners", std::move(tuners)},
      {"encode", {{"precision", name_of(spec.encode.precision)}}},
      {"cells", plan.cells.size()},  // by which shards, and runs that were stopped, are told from the whole
      {"analysis", {{"center", spec.analysis.center_rows ? "row" : "column"}, {"max_rows", spec.analysis.max_rows}}}};
  if (!plan.grids.empty()) {
    all["selection"] = json::parse(plan.selection->canonical);
    for (const Grid& grid : plan.grids) all["grids"].push_back(grid.candidates);
  }
  if (spec.stop) all["stop"] = json::parse(to_json(spec.stop->rule));
  return all;
}

}  // namespace nmlbench
