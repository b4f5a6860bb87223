#include "plan/tuner_table.h"

#include "plan/candidates.h"

#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

void TunerTable::fill() {
  if (spec_.selection) plan_.selection = read_selection(*spec_.selection);
  const std::vector<std::string> over = plan_.selection ? plan_.selection->over : std::vector<std::string>();
  for (const PluginRef& ref : spec_.tuners) {
    for (std::vector<ResolvedPlugin>& candidates : expand_candidates(catalog_, ref, over)) {
      add(ref.where, std::move(candidates));
    }
  }
  if (plan_.selection && !plan_.tuners.empty()) require_use();
}

void TunerTable::add(const Location& where, std::vector<ResolvedPlugin> candidates) {
  Method method{plan_.tuners.size(), std::nullopt};
  if (candidates.size() > 1) {
    method.grid = plan_.grids.size();
    Grid grid;
    grid.params = grid_params(candidates);
    for (std::size_t i = 0; i < candidates.size(); ++i) grid.candidates.push_back(method.tuner + i);
    plan_.grids.push_back(std::move(grid));
  }
  for (ResolvedPlugin& candidate : candidates) plan_.tuners.push_back(std::move(candidate));
  const std::string identity = tuner_identity(plan_, method);
  for (const Method& other : methods_) {
    if (tuner_identity(plan_, other) != identity) continue;
    const ResolvedPlugin& tuner = plan_.tuners[method.tuner];
    const std::string& params = method.grid ? plan_.grids[*method.grid].params : tuner.canonical;
    throw ConfigError(where, fmt::format("tuner {} {} is there twice", tuner.name, params));
  }
  methods_.push_back(method);
}

void TunerTable::require_use() const {
  const Selection& selection = *plan_.selection;
  require_parameters(selection.over, plan_.tuners, selection.where_over);
  if (!plan_.grids.empty() || spec_.overridden) return;
  throw ConfigError(selection.where, fmt::format("has nothing to choose from, since no tuner has a list for {}; write "
                                                 "one, such as lr = [0.01, 0.1], or remove the section",
                                                 fmt::join(selection.over, ", ")));
}

std::string tuner_identity(const Plan& plan, const Method& method) {
  if (!method.grid) return plan.tuners[method.tuner].identity();
  std::string identity = "selection" + plan.selection->canonical;
  for (const std::size_t candidate : plan.grids[*method.grid].candidates) {
    identity += '\n';
    identity += plan.tuners[candidate].identity();
  }
  return identity;
}

}  // namespace nmlbench
