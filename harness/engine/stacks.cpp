#include "engine/stacks.h"

#include "engine/training_rows.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace nmlbench {
namespace {

// Seeds that [stop] adds share no stack with those before them, which would have to run again to fill it.
std::string stack_key(const Plan& plan, const Cell& cell, const HeadShape& shape) {
  const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
  return fmt::format("{}\n{}\n{}\n{}@{}\n{}\n{}\n{}", shape.dim, shape.classes, shape.tokens, tuner.name,
                     tuner.revision, tuner.stack_key, plan.tasks[cell.task].views.pairs,
                     plan.batches.batch_of(cell.seed));
}

// What decides a head's rows, their labels and their order.
auto rows_key(const Cell& cell) {
  return std::tuple(cell.train, cell.task, cell.noise, cell.fraction, cell.seed, cell.part.value_or(-1));
}

std::vector<Unit> make_units(const Plan& plan, const std::vector<std::size_t>& cells) {
  std::vector<Unit> units;
  std::map<decltype(rows_key(Cell())), std::size_t> unit_of;
  for (const std::size_t index : cells) {
    const Cell& cell = plan.cells[index];
    const auto [place, is_new] = unit_of.try_emplace(rows_key(cell), units.size());
    if (is_new) units.push_back({cell.train, {}});
    units[place->second].cells.push_back(index);
  }
  const auto cell_of = [&](const Unit& unit) -> const Cell& { return plan.cells[unit.cells.front()]; };
  std::stable_sort(units.begin(), units.end(), [&](const Unit& a, const Unit& b) {
    const Cell &first = cell_of(a), &second = cell_of(b);
    return std::tuple(-training_rows(plan, first), first.task) < std::tuple(-training_rows(plan, second), second.task);
  });
  return units;
}

// Splits a unit whose heads alone exceed the bound.
std::vector<Unit> split_unit(const Unit& unit, std::int64_t max_heads) {
  std::vector<Unit> parts;
  for (std::size_t begin = 0; begin < unit.cells.size(); begin += static_cast<std::size_t>(max_heads)) {
    const std::size_t end = std::min(unit.cells.size(), begin + static_cast<std::size_t>(max_heads));
    parts.push_back({unit.train,
                     {unit.cells.begin() + static_cast<std::ptrdiff_t>(begin),
                      unit.cells.begin() + static_cast<std::ptrdiff_t>(end)}});
  }
  return parts;
}

}  // namespace

bool see_the_same_rows(const Cell& a, const Cell& b) {
  return rows_key(a) == rows_key(b);
}

std::vector<Stack> make_stacks(const Plan& plan, const std::vector<std::size_t>& cells,
                               const std::function<HeadShape(const Cell&)>& shape_of, const StackBound& bound) {
  std::vector<std::vector<std::size_t>> groups;
  std::map<std::string, std::size_t> group_of;
  for (const std::size_t i : cells) {
    const std::string key = stack_key(plan, plan.cells[i], shape_of(plan.cells[i]));
    const auto [place, is_new] = group_of.try_emplace(key, groups.size());
    if (is_new) groups.emplace_back();
    groups[place->second].push_back(i);
  }

  std::vector<Stack> stacks;
  for (const std::vector<std::size_t>& group : groups) {
    const std::int64_t most = std::max<std::int64_t>(1, bound(group));
    std::map<std::size_t, Stack> open;  // by heads per unit: exclusions leave units with fewer heads than others
    for (const Unit& whole : make_units(plan, group)) {
      for (Unit& unit : split_unit(whole, most)) {
        Stack& stack = open[unit.cells.size()];
        const auto heads = static_cast<std::int64_t>((stack.units.size() + 1) * unit.cells.size());
        if (heads > most) stacks.push_back(std::exchange(stack, {}));
        stack.units.push_back(std::move(unit));
      }
    }
    for (auto& [heads, stack] : open) stacks.push_back(std::move(stack));
  }
  return stacks;
}

}  // namespace nmlbench
