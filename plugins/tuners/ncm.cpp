#include "ncm.h"

#include "unit_rows.h"

#include <limits>

namespace nmlbench::plugins {
namespace {

constexpr double kSmallestVariance = 1e-12;  // of rows that all lie on their class means

}  // namespace

std::int64_t NearestClassMean::bytes_per_head(const StackShape& shape) const {
  const auto wide = static_cast<std::int64_t>(sizeof(double));
  return wide * (2 * shape.rows * shape.dim + shape.classes * shape.dim);  // the unit's rows while it fits
}

UnitFit NearestClassMean::fit_unit(std::int64_t unit, const UnitData& data, const std::vector<Params>& heads,
                                   const Context&) {
  Fit& fit = fits_[static_cast<std::size_t>(unit)];
  const torch::Tensor x = cosine_ ? unit_rows(data.x.to(torch::kFloat64)) : data.x.to(torch::kFloat64);
  const std::int64_t d = x.size(1);
  const torch::Tensor counts = torch::bincount(data.y, {}, data.classes);
  fit.present = counts > 0;
  fit.means = torch::zeros({data.classes, d}, x.options()).index_add_(0, data.y, x);
  fit.means.div_(counts.clamp_min(1).to(torch::kFloat64).unsqueeze(1));
  if (cosine_) fit.means = unit_rows(fit.means);
  const torch::Tensor off =
      (x - fit.means.index_select(0, data.y)).square().mean(1).mean().clamp_min(kSmallestVariance);
  std::vector<double> temperatures;
  for (const Params& head : heads) temperatures.push_back(head.real("temperature"));
  fit.spread = off * torch::tensor(temperatures, x.options());
  return {};
}

torch::Tensor NearestClassMean::logits_of_unit(std::int64_t unit, const torch::Tensor& x) const {
  const Fit& fit = fits_[static_cast<std::size_t>(unit)];
  const torch::Tensor rows = cosine_ ? unit_rows(x.to(torch::kFloat64)) : x.to(torch::kFloat64);
  // |x - m|^2 without |x|^2, which is the same for all classes
  const torch::Tensor affinity = rows.mm(fit.means.t()) - fit.means.square().sum(1).mul(0.5);  // [B, C]
  const torch::Tensor least = affinity.masked_fill(fit.present.logical_not(), std::numeric_limits<double>::infinity())
                                  .amin(1, /*keepdim=*/true);
  const torch::Tensor known = torch::where(fit.present, affinity, least);
  return known.unsqueeze(0) / fit.spread.view({-1, 1, 1});
}

}  // namespace nmlbench::plugins
