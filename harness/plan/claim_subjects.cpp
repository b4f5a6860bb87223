#include "plan/claim_subjects.h"

#include "plan/planned_cell.h"
#include "records/setting_labels.h"
#include "support/words.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {
namespace {

bool has_tests(const Task& task, const std::string& kind) {
  return std::any_of(task.tests.begin(), task.tests.end(),
                     [&](const TestSet& test) { return test.ood == (kind == "ood"); });
}

bool is_ratio(double known, double ratio) {
  return known == ratio || same_number(known, ratio);
}

// Whether a board of the claim has the cell: "A > B ... at noise 0.1" looks at one level alone.
bool is_looked_at(const Plan& plan, const Cell& cell, const Claim& claim) {
  if (!has_tests(plan.tasks[cell.task], claim.kind)) return false;
  if (claim.form != Claim::Form::better || !claim.ratio) return true;
  const std::optional<double> ratio = plan.checkpoints[cell.checkpoint].noise_ratio();
  return ratio && is_ratio(*ratio, *claim.ratio);
}

// As boards print the settings of the tuner, "" where it has one; none where the claim looks at no cell of it.
std::set<std::string> settings_of(const Plan& plan, const std::string& tuner, const Claim& claim) {
  std::set<std::string> params, settings;
  for (const Cell& cell : plan.cells) {
    if (plan.tuners[cell.tuner].name == tuner && is_looked_at(plan, cell, claim))
      params.insert(tuner_params(plan, cell));
  }
  const std::map<std::string, std::string> labels = setting_labels(params);
  for (const std::string& text : params) settings.insert(labels.at(text));
  return settings;
}

std::vector<std::string> tuners_of_cells(const Plan& plan) {
  std::set<std::string> names;
  for (const Cell& cell : plan.cells) names.insert(plan.tuners[cell.tuner].name);
  return {names.begin(), names.end()};
}

void require_tuner(const std::string& label, const Claim& claim, const Location& where, const Plan& plan) {
  const std::string name = tuner_name(label);
  const std::vector<std::string> known = tuners_of_cells(plan);
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw ConfigError(where, fmt::format("the matrix has no tuner \"{}\"{}", name, suggestion(name, known)));
  const std::set<std::string> settings = settings_of(plan, name, claim);
  if (settings.empty()) throw ConfigError(where, fmt::format("{} has no cell that \"{}\" is about", name, claim.text));
  if (settings.size() == 1) {
    if (name == label) return;
    throw ConfigError(where, fmt::format("{0} has one setting, which boards print without brackets: \"{0}\"", name));
  }
  std::vector<std::string> labels;
  for (const std::string& setting : settings) labels.push_back(with_setting(name, setting));
  if (std::find(labels.begin(), labels.end(), label) != labels.end()) return;
  throw ConfigError(where, fmt::format("{} has several settings; name one: {}", name, fmt::join(labels, " | ")));
}

void require_noise(double ratio, const Location& where, const Plan& plan) {
  std::set<double> ratios;
  for (const Checkpoint& checkpoint : plan.checkpoints) {
    if (const std::optional<double> known = checkpoint.noise_ratio()) ratios.insert(*known);
  }
  if (std::any_of(ratios.begin(), ratios.end(), [&](double known) { return is_ratio(known, ratio); })) return;
  throw ConfigError(where, ratios.empty() ? std::string("no noise is known of the encoders of the matrix")
                                          : fmt::format("the matrix has no noise ratio {}; it has {}", ratio,
                                                        fmt::join(ratios, ", ")));
}

void require_test_sets(const std::string& kind, const Location& where, const Plan& plan) {
  if (std::any_of(plan.tasks.begin(), plan.tasks.end(), [&](const Task& task) { return has_tests(task, kind); }))
    return;
  throw ConfigError(where, fmt::format("no task has a [[task.test]] of kind \"{}\"", kind));
}

}  // namespace

void require_subjects(const StopSpec& stop, const Plan& plan) {
  if (plan.cells.empty()) return;  // which is told elsewhere
  for (std::size_t i = 0; i < stop.rule.claims.size(); ++i) {
    const Claim& claim = stop.rule.claims[i];
    const Location& where = stop.where[i];
    if (claim.ratio) require_noise(*claim.ratio, where, plan);
    require_test_sets(claim.kind, where, plan);
    if (claim.form != Claim::Form::better) require_noise(0.0, where, plan);
    if (!claim.tuner.empty()) require_tuner(claim.tuner, claim, where, plan);
    if (!claim.other.empty()) require_tuner(claim.other, claim, where, plan);
  }
}

}  // namespace nmlbench
