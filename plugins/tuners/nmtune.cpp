#include "nmtune.h"

#include "feature_terms.h"

namespace nmlbench::plugins {

void NmTune::on_init() {
  use_consistency_ = per_head("consistency").any().item<bool>();
  use_covariance_ = per_head("covariance").any().item<bool>();
  use_dominance_ = per_head("dominance").any().item<bool>();
  most_top_k_ = per_head("top_k").max().item<std::int64_t>();
}

// Consistency of pairs: of the second view's z with the first view's f alone (PAPER.md, "NMTune").
torch::Tensor NmTune::regularise(const torch::Tensor& z, const torch::Tensor& f, bool pairs, torch::Tensor& d_z) const {
  torch::Tensor loss = torch::zeros({z.size(0)}, z.options());
  if (use_consistency_) {
    const torch::Tensor weight = per_head("consistency");
    const std::int64_t rows = pairs ? z.size(1) / 2 : z.size(1), first = z.size(1) - rows;
    // contiguous: a sum's order must not depend on how many heads there are
    const Term term = consistency_term(z.narrow(1, first, rows).contiguous(), f.narrow(1, 0, rows).contiguous());
    d_z.narrow(1, first, rows).addcmul_(term.gradient, weight.view({-1, 1, 1}));
    loss.addcmul_(term.loss, weight);
  }
  if (use_covariance_ || use_dominance_) {
    const auto weight = [&](bool used, const char* name) { return used ? per_head(name) : torch::Tensor(); };
    const Term term = spectral_terms(z, weight(use_covariance_, "covariance"), weight(use_dominance_, "dominance"),
                                     {per_head("top_k"), most_top_k_});
    d_z.add_(term.gradient);
    loss.add_(term.loss);
  }
  return loss;
}

}  // namespace nmlbench::plugins
