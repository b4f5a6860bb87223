#include "plan/claim_subjects.h"

#include "support/words.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {
namespace {

// The name of the tuner of each method that cells have: one tuner, or the one that is chosen from a grid.
std::vector<std::string> names_of_methods(const Plan& plan) {
  std::set<std::pair<std::size_t, std::optional<std::size_t>>> methods;
  for (const Cell& cell : plan.cells) methods.emplace(cell.tuner, cell.grid);
  std::vector<std::string> names;
  for (const auto& [tuner, grid] : methods) names.push_back(plan.tuners[tuner].name);
  return names;
}

void require_tuner(const std::string& label, const Location& where, const std::vector<std::string>& names) {
  const std::string name = tuner_name(label);
  const auto settings = std::count(names.begin(), names.end(), name);
  if (settings == 0) {
    const std::set<std::string> known(names.begin(), names.end());
    throw ConfigError(where, fmt::format("the matrix has no tuner \"{}\"{}", name,
                                         suggestion(name, std::vector<std::string>(known.begin(), known.end()))));
  }
  if (settings > 1 && name == label)
    throw ConfigError(where, fmt::format("{0} has {1} settings; name one as boards print it, for example \"{0} "
                                         "(lr=0.1)\"",
                                         name, settings));
  if (settings == 1 && name != label)
    throw ConfigError(where, fmt::format("{0} has one setting, which boards print without brackets: \"{0}\"", name));
}

void require_noise(double ratio, const Location& where, const Plan& plan) {
  std::set<double> ratios;
  for (const Checkpoint& checkpoint : plan.checkpoints) {
    if (const std::optional<double> known = checkpoint.noise_ratio()) ratios.insert(*known);
  }
  const auto is_it = [ratio](double known) { return known == ratio || same_number(known, ratio); };
  if (std::any_of(ratios.begin(), ratios.end(), is_it)) return;
  throw ConfigError(where, ratios.empty() ? std::string("no noise is known of the encoders of the matrix")
                                          : fmt::format("the matrix has no noise ratio {}; it has {}", ratio,
                                                        fmt::join(ratios, ", ")));
}

void require_test_sets(const std::string& kind, const Location& where, const Plan& plan) {
  for (const Task& task : plan.tasks) {
    const auto is_of_kind = [&](const TestSet& test) { return test.ood == (kind == "ood"); };
    if (std::any_of(task.tests.begin(), task.tests.end(), is_of_kind)) return;
  }
  throw ConfigError(where, fmt::format("no task has a [[task.test]] of kind \"{}\"", kind));
}

}  // namespace

void require_subjects(const StopSpec& stop, const Plan& plan) {
  if (plan.cells.empty()) return;  // which is told elsewhere
  const std::vector<std::string> names = names_of_methods(plan);
  for (std::size_t i = 0; i < stop.rule.claims.size(); ++i) {
    const Claim& claim = stop.rule.claims[i];
    const Location& where = stop.where[i];
    if (!claim.tuner.empty()) require_tuner(claim.tuner, where, names);
    if (!claim.other.empty()) require_tuner(claim.other, where, names);
    if (claim.ratio) require_noise(*claim.ratio, where, plan);
    require_test_sets(claim.kind, where, plan);
    if (claim.form != Claim::Form::better) require_noise(0.0, where, plan);
  }
}

}  // namespace nmlbench
