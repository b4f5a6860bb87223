#include "nmtune.h"

#include "feature_terms.h"

namespace nmlbench::plugins {

void NmTune::on_init() {
  FeatureMlp::on_init();
  consistency_ = per_head("consistency");
  covariance_ = per_head("covariance");
  dominance_ = per_head("dominance");
  use_consistency_ = consistency_.any().item<bool>();
  use_covariance_ = covariance_.any().item<bool>();
  use_dominance_ = dominance_.any().item<bool>();
  std::vector<std::int64_t> top_k;
  for (const HeadSpec& head : heads()) top_k.push_back(head.params.integer("top_k"));
  top_k_ = torch::tensor(top_k, torch::kInt64).to(device());
}

torch::Tensor NmTune::regularise(const torch::Tensor& z, const torch::Tensor& f, torch::Tensor& d_z) const {
  torch::Tensor loss;
  const auto add = [&](const torch::Tensor& weight, const Term& term) {
    d_z.addcmul_(term.gradient, weight.view({-1, 1, 1}));
    loss = loss.defined() ? loss + weight * term.loss : weight * term.loss;
  };
  if (use_consistency_) add(consistency_, consistency_term(z, f));
  if (use_covariance_) add(covariance_, covariance_term(z));
  if (use_dominance_) add(dominance_, dominance_term(z, top_k_));
  return loss;
}

}  // namespace nmlbench::plugins
