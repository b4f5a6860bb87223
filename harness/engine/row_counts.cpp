#include "engine/row_counts.h"

#include "engine/isolation.h"
#include "engine/training_rows.h"
#include "registry/registry.h"

#include <nmlbench/dense.h>

namespace nmlbench {

std::int64_t RowCounts::of(const Cell& cell, std::optional<std::int64_t> part) {
  const std::size_t split = plan_.tasks[cell.task].train;
  const auto [place, is_new] = known_.try_emplace({split, cell.fraction, part.value_or(-1)}, 0);
  if (is_new) place->second = count(split, cell.fraction, part);
  return place->second;
}

std::int64_t RowCounts::count(std::size_t split, double fraction, std::optional<std::int64_t> part) {
  const Split& own = plan_.splits[split];
  if (fraction >= 1 && !part) return own.facts.info.size;
  if (is_isolated(isolation_, own.plugin)) {
    exact_ = false;
    const double share = fraction * (part ? plan_.selection->share_kept() : 1);
    return static_cast<std::int64_t>(share * static_cast<double>(own.facts.info.size));
  }
  return kept_rows(class_sizes(split), fraction, plan_.selection ? &*plan_.selection : nullptr, part);
}

const std::vector<std::int64_t>& RowCounts::class_sizes(std::size_t split) {
  std::vector<std::int64_t>& sizes = sizes_[split];
  if (sizes.empty()) {
    const std::unique_ptr<Dataset> data = make_dataset(plan_.splits[split].plugin);
    data->open();
    const torch::Tensor counts = data->labels().bincount().contiguous();
    sizes.assign(dense_data<std::int64_t>(counts), dense_data<std::int64_t>(counts) + counts.numel());
  }
  return sizes;
}

}  // namespace nmlbench
