#include "engine/packer.h"

#include "engine/isolation.h"

#include <algorithm>
#include <iterator>

namespace nmlbench {

void Work::add(std::vector<Stack> more) {
  packed += more.size();
  std::move(more.begin(), more.end(), std::back_inserter(stacks));
  drop_idle();
}

void Work::drop_idle() {
  std::erase_if(stacks, [&](const Stack& stack) {
    return std::none_of(stack.units.begin(), stack.units.end(),
                        [&](const Unit& unit) { return std::any_of(unit.cells.begin(), unit.cells.end(), wanted); });
  });
}

Failure Packer::obstacle_of(const Plan& plan, const Cell& cell) {
  const std::string of_data = plan.obstacle(cell);
  return of_data.empty() ? shapes_.of(plan, cell).error : Failure{of_data, names_transient_reason(of_data)};
}

std::vector<Stack> Packer::pack(const Plan& plan, const std::vector<std::size_t>& cells) {
  const auto shape_of = [&](const Cell& cell) {
    const EncoderShape& encoder = shapes_.of(plan, cell);
    return HeadShape{encoder.dim, plan.splits[plan.tasks[cell.task].train].facts.info.classes, encoder.tokens};
  };
  StackSizer sizer(plan, cache_, options_.device, options_.threads, options_.stop);
  return make_stacks(plan, cells, shape_of, [&](const std::vector<std::size_t>& alike) {
    if (options_.stack_heads > 0) return options_.stack_heads;
    const HeadShape shape = shape_of(plan.cells[alike.front()]);
    return is_isolated(options_.isolation, plan.tuners[plan.cells[alike.front()].tuner])
               ? options_.isolation->stack_bound(plan, alike, shape)
               : sizer.bound(alike, shape);
  });
}

}  // namespace nmlbench
