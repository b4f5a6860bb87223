#include "label_flips.h"

#include <nmlbench/dense.h>
#include <nmlbench/share.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace nmlbench::plugins {

torch::Tensor choose_samples(const torch::Tensor& targets, const torch::Tensor& share, bool exact,
                             const Stream& draws) {
  if (!exact) {
    const torch::Tensor coin = draws.at("coin").uniform({targets.size(0)}).to(torch::kFloat64);
    return coin < share.index_select(0, targets);
  }
  torch::Tensor mask = torch::zeros({targets.size(0)}, torch::kBool);
  for (std::int64_t c = 0; c < share.size(0); ++c) {
    const torch::Tensor rows = (targets == c).nonzero().view(-1);
    const std::int64_t count = round_of_share(share[c].item<double>(), rows.size(0));
    if (count == 0) continue;
    const torch::Tensor order = draws.at("order").at(c).permutation(rows.size(0));  // its head grows with the share
    mask.index_fill_(0, rows.index_select(0, order.slice(0, 0, count)), true);
  }
  return mask;
}

torch::Tensor pick_classes(const torch::Tensor& weight, const torch::Tensor& uniform) {
  const std::int64_t rows = weight.size(0), classes = weight.size(1);
  const torch::Tensor w = weight.contiguous(), u = uniform.to(torch::kFloat64).contiguous();
  torch::Tensor picked = torch::empty({rows}, torch::kInt64);
  std::vector<double> cumulative(static_cast<std::size_t>(classes));
  for (std::int64_t i = 0; i < rows; ++i) {
    const double* row = dense_data<double>(w) + i * classes;
    double sum = 0;
    std::int64_t last = 0;  // of the classes that can be picked: rounding must not lead past it
    for (std::int64_t j = 0; j < classes; ++j) {
      if (row[j] > 0) last = j;
      cumulative[static_cast<std::size_t>(j)] = sum += row[j];
    }
    const double at = dense_data<double>(u)[i] * sum;
    const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), at);
    dense_data<std::int64_t>(picked)[i] = std::min<std::int64_t>(found - cumulative.begin(), last);
  }
  return picked;
}

torch::Tensor flip_labels(const torch::Tensor& targets, const torch::Tensor& transition, bool exact,
                          const Stream& draws) {
  torch::Tensor away = transition.clone();
  away.fill_diagonal_(0);
  // its sum, and not 1 less the diagonal, is the decimal number that was written but for relative rounding
  const torch::Tensor chosen = choose_samples(targets, away.sum(1), exact, draws);
  const torch::Tensor at = chosen.nonzero().view(-1);
  const torch::Tensor uniform = draws.at("label").uniform({targets.size(0)}).index_select(0, at);
  const torch::Tensor picked = pick_classes(away.index_select(0, targets.index_select(0, at)), uniform);
  return targets.index_copy(0, at, picked);
}

torch::Tensor mix_with_identity(const torch::Tensor& m, double ratio) {
  return (1.0 - ratio) * torch::eye(m.size(0), torch::kFloat64) + ratio * m;
}

double mean_flip_rate(const torch::Tensor& transition) {
  return 1.0 - transition.diagonal().mean().item<double>();
}

}  // namespace nmlbench::plugins
