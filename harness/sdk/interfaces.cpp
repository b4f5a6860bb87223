// Out-of-line destructors and defaults: they anchor vtables and type_info in this one shared library, so that
// dynamic_cast and catch work across plugins.
#include <nmlbench/dataset.h>
#include <nmlbench/encoder.h>
#include <nmlbench/error.h>
#include <nmlbench/noise.h>
#include <nmlbench/tuner.h>

namespace nmlbench {

Dataset::~Dataset() = default;
torch::Tensor Dataset::captions(const torch::Tensor&, torch::Device) {
  throw Error("this dataset has no captions");
}

Encoder::~Encoder() = default;
torch::Tensor Encoder::pretrain_loss(const Batch&) {
  throw Error("this encoder cannot be pre-trained");
}
torch::Tensor Encoder::pretrain_logits(const Batch&) {
  return {};
}

NoiseModel::~NoiseModel() = default;
std::optional<double> NoiseModel::expected_rate(std::int64_t) const {
  return std::nullopt;
}
torch::Tensor NoiseModel::expected_transition(std::int64_t) const {
  return {};
}

TrainingSet::~TrainingSet() = default;
Tuner::~Tuner() = default;

}  // namespace nmlbench
