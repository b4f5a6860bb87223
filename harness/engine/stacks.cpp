#include "engine/stacks.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

namespace nmlbench {
namespace {

// Cells with equal keys have equal shapes and tuner structure.
std::string shape_key(const Plan& plan, const Cell& cell) {
  const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
  return fmt::format("{}\n{}\n{}\n{}@{}\n{}", cell.task, cell.fraction,
                     plan.checkpoints[cell.checkpoint].encoder.identity(), tuner.name, tuner.revision, tuner.stack_key);
}

// Units of one shape, in plan order. Exclusions can leave units with fewer heads than others.
std::vector<Unit> make_units(const Plan& plan, const std::vector<std::size_t>& cells) {
  std::vector<Unit> units;
  std::map<std::pair<std::size_t, std::int64_t>, std::size_t> unit_of;
  for (const std::size_t index : cells) {
    const Cell& cell = plan.cells[index];
    const auto [place, is_new] = unit_of.try_emplace({cell.train, cell.seed}, units.size());
    if (is_new) units.push_back({cell.train, cell.seed, {}});
    units[place->second].cells.push_back(index);
  }
  return units;
}

// Splits a unit whose heads alone exceed the bound.
std::vector<Unit> split_unit(Unit unit, std::int64_t max_heads) {
  std::vector<Unit> parts;
  for (std::size_t begin = 0; begin < unit.cells.size(); begin += static_cast<std::size_t>(max_heads)) {
    const std::size_t end = std::min(unit.cells.size(), begin + static_cast<std::size_t>(max_heads));
    parts.push_back({unit.train,
                     unit.seed,
                     {unit.cells.begin() + static_cast<std::ptrdiff_t>(begin),
                      unit.cells.begin() + static_cast<std::ptrdiff_t>(end)}});
  }
  return parts;
}

}  // namespace

std::vector<Stack> make_stacks(const Plan& plan, const std::function<std::int64_t(const Cell&)>& max_heads) {
  std::vector<std::vector<std::size_t>> groups;
  std::map<std::string, std::size_t> group_of;
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    const auto [place, is_new] = group_of.try_emplace(shape_key(plan, plan.cells[i]), groups.size());
    if (is_new) groups.emplace_back();
    groups[place->second].push_back(i);
  }

  std::vector<Stack> stacks;
  for (const std::vector<std::size_t>& group : groups) {
    const std::int64_t bound = std::max<std::int64_t>(1, max_heads(plan.cells[group.front()]));
    std::map<std::size_t, Stack> open;  // by heads per unit
    for (Unit& whole : make_units(plan, group)) {
      for (Unit& unit : split_unit(std::move(whole), bound)) {
        Stack& stack = open[unit.cells.size()];
        const auto heads = static_cast<std::int64_t>((stack.units.size() + 1) * unit.cells.size());
        if (heads > bound) stacks.push_back(std::exchange(stack, {}));
        stack.units.push_back(std::move(unit));
      }
    }
    for (auto& [heads, stack] : open) stacks.push_back(std::move(stack));
  }
  return stacks;
}

}  // namespace nmlbench
