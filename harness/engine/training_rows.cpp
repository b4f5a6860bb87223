#include "engine/training_rows.h"

#include <algorithm>
#include <map>
#include <utility>

namespace nmlbench {

torch::Tensor subset_rows(const torch::Tensor& labels, double fraction, const Stream& draws) {
  if (fraction >= 1.0) return torch::arange(labels.size(0));
  std::vector<torch::Tensor> chosen;
  const auto classes = labels.max().item<std::int64_t>() + 1;
  for (std::int64_t c = 0; c < classes; ++c) {
    const torch::Tensor rows = (labels == c).nonzero().view(-1);
    const std::int64_t n = rows.size(0);
    if (n == 0) continue;
    const auto keep = std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(n) * fraction));
    const torch::Tensor order = draws.at("subset").at(c).permutation(n);
    chosen.push_back(rows.index_select(0, order.slice(0, 0, keep)));
  }
  return std::get<0>(torch::cat(chosen).sort());
}

StackRows::StackRows(std::vector<UnitRows> units, const StackShape& shape, torch::Device device)
    : units_(std::move(units)), shape_(shape), device_(device) {
  if (device_.is_cpu()) return;
  std::map<const void*, std::pair<torch::Tensor, torch::Tensor>> moved;
  for (UnitRows& unit : units_) {
    auto& [x, y] = moved[unit.x.data_ptr()];
    if (!x.defined()) {
      x = unit.x.to(device_);
      y = unit.y.to(device_);
    }
    unit.x = x;
    unit.y = y;
  }
}

Minibatch StackRows::gather(std::int64_t first_unit, const torch::Tensor& rows) const {
  const std::int64_t u = rows.size(0), b = rows.size(1);
  Minibatch batch;
  batch.heads_per_unit = shape_.heads_per_unit;
  batch.x = torch::empty({u, b, shape_.dim}, torch::dtype(torch::kFloat32).device(device_));
  batch.y = torch::empty({u, b}, torch::dtype(torch::kInt64).device(device_));
  for (std::int64_t i = 0; i < u; ++i) {
    const UnitRows& unit = of(first_unit + i);
    torch::Tensor sample = rows[i], place = sample;
    if (unit.views > 1) {
      const std::int64_t n = unit.rows.size(0);
      sample = rows[i].remainder(n);
      place = rows[i].div(n, "floor").mul_(unit.y.size(0));
    }
    const torch::Tensor index = unit.rows.index_select(0, sample);
    torch::Tensor x = batch.x[i], y = batch.y[i];
    torch::index_select_out(y, unit.y, 0, index.to(device_));
    torch::index_select_out(x, unit.x, 0, (unit.views > 1 ? place + index : index).to(device_));
  }
  return batch;
}

}  // namespace nmlbench
