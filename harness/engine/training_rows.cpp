#include "engine/training_rows.h"

#include "plan/plan.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>
#include <nmlbench/share.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace nmlbench {

namespace {

// Calls visit(label, rows) for each class that occurs: its rows in the order in which fractions of `draws` take them.
template <typename Visit>
void for_each_class(const torch::Tensor& labels, const Stream& draws, const Visit& visit) {
  const torch::Tensor by_class = labels.argsort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  const auto [classes, inverse, counts] = torch::_unique2(labels, /*sorted=*/true, false, /*return_counts=*/true);
  const auto* label = dense_data<std::int64_t>(classes);
  const auto* count = dense_data<std::int64_t>(counts);
  for (std::int64_t i = 0, first = 0; i < classes.size(0); first += count[i], ++i) {
    const torch::Tensor rows = by_class.narrow(0, first, count[i]);  // ascending
    visit(label[i], rows.index_select(0, draws.at("subset").at(label[i]).permutation(count[i])));
  }
}

torch::Tensor ascending(const std::vector<torch::Tensor>& rows) {
  return rows.empty() ? torch::empty({0}, torch::kInt64) : std::get<0>(torch::cat(rows).sort());
}

// How many of the first n rows of a class are held out: a share, rounded down, at least one, and never the only row.
// With n it rises by no more than one.
std::int64_t held_out_of_first(std::int64_t n, double share) {
  return n < 2 ? 0 : std::max<std::int64_t>(1, floor_of_share(share, n));
}

bool is_held_out(std::int64_t place, std::int64_t label, std::int64_t rows, const Selection& selection,
                 std::int64_t part) {
  if (rows < 2) return false;
  // classes begin with different folds, so that those with few rows do not all fill the first ones
  if (selection.rule == Selection::Rule::folds) return (place + label) % selection.folds == part;
  return held_out_of_first(place + 1, selection.holdout) > held_out_of_first(place, selection.holdout);
}

}  // namespace

double training_rows(const Plan& plan, const Cell& cell) {
  const double kept = cell.part ? plan.selection->share_kept() : 1;
  return kept * cell.fraction * static_cast<double>(plan.splits[plan.tasks[cell.task].train].facts.info.size);
}

std::int64_t kept_rows(const std::vector<std::int64_t>& class_sizes, double fraction, const Selection* selection,
                       std::optional<std::int64_t> part) {
  std::int64_t kept = 0;
  for (std::size_t label = 0; label < class_sizes.size(); ++label) {
    if (class_sizes[label] == 0) continue;
    const std::int64_t n = subset_size(class_sizes[label], fraction);
    kept += n;
    if (!part) continue;
    for (std::int64_t place = 0; place < n; ++place)
      kept -= is_held_out(place, static_cast<std::int64_t>(label), n, *selection, *part) ? 1 : 0;
  }
  return kept;
}

torch::Tensor subset_rows(const torch::Tensor& labels, double fraction, const Stream& draws) {
  if (fraction >= 1.0) return torch::arange(labels.size(0));
  std::vector<torch::Tensor> chosen;
  for_each_class(labels, draws, [&](std::int64_t, const torch::Tensor& rows) {
    chosen.push_back(rows.slice(0, 0, subset_size(rows.size(0), fraction)));
  });
  return ascending(chosen);
}

HeldOut hold_out(const torch::Tensor& labels, double fraction, const Stream& draws, const Selection& selection,
                 std::int64_t part) {
  std::vector<torch::Tensor> kept, held_out;
  for_each_class(labels, draws, [&](std::int64_t label, const torch::Tensor& rows) {
    const std::int64_t n = subset_size(rows.size(0), fraction);
    std::vector<std::int64_t> places[2];
    for (std::int64_t place = 0; place < n; ++place) {
      places[is_held_out(place, label, n, selection, part) ? 1 : 0].push_back(place);
    }
    kept.push_back(rows.index_select(0, torch::tensor(places[0], torch::kInt64)));
    held_out.push_back(rows.index_select(0, torch::tensor(places[1], torch::kInt64)));
  });
  return {ascending(kept), ascending(held_out)};
}

RowPool::RowPool(const std::vector<UnitRows>& units, torch::Device device) {
  std::map<const void*, std::int64_t> x_placed, y_placed;  // where some features, and some labels, begin
  std::vector<std::pair<torch::Tensor, std::int64_t>> all_x, all_y;
  std::int64_t x_rows = 0, y_rows = 0, subset_rows = 0;
  places_ = torch::empty({5, static_cast<std::int64_t>(units.size())}, torch::kInt64);
  std::vector<torch::Tensor> subsets;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const UnitRows& unit = units[i];
    const auto [x_at, x_is_new] = x_placed.try_emplace(dense_data<float>(unit.x), x_rows);
    if (x_is_new) all_x.emplace_back(unit.x, std::exchange(x_rows, x_rows + unit.x.size(0)));
    const auto [y_at, y_is_new] = y_placed.try_emplace(dense_data<std::int64_t>(unit.y), y_rows);
    if (y_is_new) all_y.emplace_back(unit.y, std::exchange(y_rows, y_rows + unit.y.size(0)));
    places_.select(1, static_cast<std::int64_t>(i))
        .copy_(torch::tensor({x_at->second, y_at->second, unit.y.size(0), subset_rows, unit.rows.size(0)}));
    subset_rows += unit.rows.size(0);
    subsets.push_back(unit.rows);
  }
  subset_ = torch::cat(subsets);
  x_ = torch::empty({x_rows, units.front().x.size(1)}, torch::dtype(torch::kFloat32).device(device));
  y_ = torch::empty({y_rows}, torch::dtype(torch::kInt64).device(device));
  for (const auto& [x, first] : all_x) x_.narrow(0, first, x.size(0)).copy_(x);
  for (const auto& [y, first] : all_y) y_.narrow(0, first, y.size(0)).copy_(y);
}

std::pair<torch::Tensor, torch::Tensor> RowPool::gather(std::int64_t first_unit, const torch::Tensor& rows) const {
  const std::int64_t u = rows.size(0), b = rows.size(1);
  const auto place = [&](Place which) { return places_[which].narrow(0, first_unit, u).unsqueeze(1); };
  const torch::Tensor size = place(kSubsetSize), view = rows.div(size, "floor");
  const torch::Tensor of_subset = (rows - view * size + place(kFirstOfSubset)).view(-1);
  const torch::Tensor sample = subset_.index_select(0, of_subset).view({u, b});
  const torch::Tensor at =
      send(torch::stack({sample + view * place(kSamples) + place(kFirstX), sample + place(kFirstY)}), x_.device());
  return {x_.index_select(0, at[0].reshape(-1)).view({u, b, -1}), y_.index_select(0, at[1].reshape(-1)).view({u, b})};
}

StackRows::StackRows(std::vector<UnitRows> units, const StackShape& shape, torch::Device device, bool pooled)
    : units_(std::move(units)), shape_(shape) {
  if (pooled) pool_.emplace(units_, device);
}

Minibatch StackRows::gather(std::int64_t first_unit, const torch::Tensor& rows) const {
  const std::int64_t u = rows.size(0), b = rows.size(1);
  Minibatch batch;
  batch.heads_per_unit = shape_.heads_per_unit;
  if (pool_) {
    std::tie(batch.x, batch.y) = pool_->gather(first_unit, rows);
    return batch;
  }
  batch.x = torch::empty({u, b, shape_.dim}, torch::kFloat32);
  batch.y = torch::empty({u, b}, torch::kInt64);
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
    torch::index_select_out(y, unit.y, 0, index);
    torch::index_select_out(x, unit.x, 0, unit.views > 1 ? place + index : index);
  }
  return batch;
}

}  // namespace nmlbench
