#include "fine_tuning.h"

#include "feature_terms.h"
#include "linear_probe.h"

namespace nmlbench::plugins {

FineTuner::FineTuner(const Params& params)
    : probe_lr_(params.real("probe_lr")),
      weight_decay_(params.real("weight_decay")),
      probe_epochs_(params.integer("probe_epochs")),
      covariance_(params.real("covariance")),
      dominance_(params.real("dominance")),
      top_k_(params.integer("top_k")) {}

// The linear probe that the tuner of that name would fit, but for what is set here.
LinearHead FineTuner::first_head(const StackShape& shape, const Stream& draws, const TrainingSet* frozen,
                                 const Context& context) {
  if (frozen == nullptr) return EncoderTuner::first_head(shape, draws, frozen, context);
  const Params params({{"lr", probe_lr_},
                       {"weight_decay", weight_decay_},
                       {"epochs", probe_epochs_},
                       {"batch_size", std::int64_t{64}},
                       {"schedule", std::string("cosine")}});
  LinearProbe probe(params);
  probe.init(shape, {{params, draws}}, context.device);
  probe.fit(*frozen, context);
  return probe.head();
}

torch::Tensor FineTuner::loss(const torch::Tensor& z, const torch::Tensor& logits, const torch::Tensor& labels) {
  const torch::Tensor cross_entropy = EncoderTuner::loss(z, logits, labels);
  if (covariance_ == 0 && dominance_ == 0) return cross_entropy;
  const torch::Tensor one = z.detach().unsqueeze(0);  // a stack of one head
  const auto weight = [&](double value) {
    return value > 0 ? torch::full({1}, value, one.options()) : torch::Tensor();
  };
  const Term term =
      spectral_terms(one, weight(covariance_), weight(dominance_), TopK(torch::full({1}, top_k_), top_k_));
  // the terms know their gradient: this has their value, and that gradient with respect to z
  const torch::Tensor along = (z * term.gradient[0]).sum();
  return cross_entropy + along + (term.loss[0] - along).detach();
}

}  // namespace nmlbench::plugins
