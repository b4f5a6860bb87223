#include "nmtune.h"

#include "feature_terms.h"

namespace nmlbench::plugins {

void NmTune::on_init() {
  use_consistency_ = per_head("consistency").any().item<bool>();
  use_covariance_ = per_head("covariance").any().item<bool>();
  use_dominance_ = per_head("dominance").any().item<bool>();
}

torch::Tensor NmTune::regularise(const torch::Tensor& z, const torch::Tensor& f, torch::Tensor& d_z) const {
  torch::Tensor loss;
  const auto add = [&](const Term& term) {
    d_z.add_(term.gradient);
    loss = loss.defined() ? loss + term.loss : term.loss;
  };
  const auto weigh = [&](const torch::Tensor& weight, Term term) {
    term.gradient.mul_(weight.view({-1, 1, 1}));
    add({weight * term.loss, term.gradient});
  };
  if (use_consistency_) weigh(per_head("consistency"), consistency_term(z, f));
  if (use_covariance_ && use_dominance_) {
    add(spectral_terms(z, per_head("covariance"), per_head("dominance"), per_head("top_k")));
  } else if (use_covariance_) {
    weigh(per_head("covariance"), covariance_term(z));
  } else if (use_dominance_) {
    weigh(per_head("dominance"), dominance_term(z, per_head("top_k")));
  }
  return loss;
}

}  // namespace nmlbench::plugins
