#include "engine/packer.h"

#include "engine/checkpoint_job.h"
#include "engine/isolation.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

bool is_isolated(const ExecutorOptions& options, const ResolvedPlugin& plugin) {
  return options.isolation != nullptr && options.isolation->covers(plugin);
}

Failure Packer::obstacle_of(const Plan& plan, const Cell& cell) {
  const std::string of_data = plan.obstacle(cell);
  return of_data.empty() ? built(plan, cell).error : Failure{of_data, names_transient_reason(of_data)};
}

std::vector<Stack> Packer::pack(const Plan& plan, const std::vector<std::size_t>& cells) {
  const auto shape_of = [&](const Cell& cell) {
    const Built& encoder = built(plan, cell);
    return HeadShape{encoder.dim, plan.splits[plan.tasks[cell.task].train].facts.info.classes, encoder.tokens};
  };
  StackSizer sizer(plan, cache_, options_.device, options_.threads, options_.stop);
  return make_stacks(plan, cells, shape_of, [&](const std::vector<std::size_t>& alike) {
    if (options_.stack_heads > 0) return options_.stack_heads;
    const HeadShape shape = shape_of(plan.cells[alike.front()]);
    return is_isolated(options_, plan.tuners[plan.cells[alike.front()].tuner])
               ? options_.isolation->stack_bound(plan, alike, shape)
               : sizer.bound(alike, shape);
  });
}

const Packer::Built& Packer::built(const Plan& plan, const Cell& cell) {
  const Checkpoint& checkpoint = plan.checkpoints[cell.checkpoint];
  const std::size_t split = plan.tasks[cell.task].train;
  const InputInfo input = input_of(plan, checkpoint, split);
  const std::string key = fmt::format("{} {} {} {}", checkpoint.encoder.identity(), static_cast<int>(input.kind),
                                      fmt::join(input.sample_shape, "x"), input.classes);
  std::map<std::string, Built>& of_readout = built_[key];
  if (of_readout.count(plan.encoder(cell).readout) == 0) build(plan, cell.checkpoint, split, input, of_readout);
  return of_readout.at(plan.encoder(cell).readout);
}

// Builds the encoder once for each kind of input and asks it about each readout.
void Packer::build(const Plan& plan, std::size_t index, std::size_t split, const InputInfo& input,
                   std::map<std::string, Built>& of_readout) {
  const Checkpoint& checkpoint = plan.checkpoints[index];
  std::shared_ptr<Encoder> encoder;
  for (std::size_t i = 0; i < checkpoint.readouts.size(); ++i) {
    Built& built = of_readout[checkpoint.readouts[i].readout];
    try {
      if (is_isolated(options_, checkpoint.encoder)) {
        std::tie(built.dim, built.tokens) = options_.isolation->feature_shape(plan, index, i, split);
        continue;
      }
      if (!encoder) encoder = build_encoder(checkpoint, input, torch::kCPU);
      set_readouts(*encoder, checkpoint, {i});
      built.dim = encoder->feature_dim();
      built.tokens = encoder->feature_tokens();
    } catch (...) {
      built.error = failure_of_current_exception();
    }
  }
}

}  // namespace nmlbench
