#include "engine/corruption.h"

#include "registry/registry.h"

#include <nmlbench/noise.h>

#include <fmt/format.h>

namespace nmlbench {
namespace {

torch::Tensor transition_matrix(const torch::Tensor& clean, const torch::Tensor& noisy, std::int64_t classes) {
  const torch::Tensor counts =
      torch::bincount(clean * classes + noisy, {}, classes * classes).view({classes, classes}).to(torch::kFloat64);
  return counts / counts.sum(1, true).clamp_min(1.0);
}

void check_targets(const torch::Tensor& noisy, const NoiseInput& input, const std::string& name) {
  if (!noisy.defined() || noisy.scalar_type() != torch::kInt64 || noisy.sizes() != input.targets.sizes()) {
    throw Error(fmt::format("bug in noise model {}: targets are not int64 [{}]", name, input.targets.size(0)));
  }
  if (((noisy < 0) | (noisy >= input.classes)).any().item<bool>()) {
    throw Error(fmt::format("bug in noise model {}: a target is outside [0, {})", name, input.classes));
  }
}

}  // namespace

Corruption corrupt_targets(const ResolvedPlugin& noise, const SplitData& split, const Stream& draws) {
  const std::unique_ptr<NoiseModel> model = make_noise(noise);
  const bool pairs = model->corrupts_pairs();
  if (pairs && split.info().kind != SampleKind::image_text) {
    throw Error(fmt::format("noise model {} mixes captions, and the data have none", noise.name));
  }
  NoiseInput input;
  const torch::Tensor clean = pairs ? torch::arange(split.info().size) : split.labels();
  input.targets = clean.clone();  // shared with others: a model that writes into its input must not spoil it
  input.classes = pairs ? split.info().size : split.info().classes;
  input.samples = [&](const torch::Tensor& indices) { return split.samples(indices, torch::kCPU); };

  Corruption result;
  result.targets = model->corrupt(input, draws);
  check_targets(result.targets, input, noise.name);
  result.realised_rate = (result.targets != clean).to(torch::kFloat64).mean().item<double>();
  if (!pairs) result.transition = transition_matrix(clean, result.targets, input.classes);
  return result;
}

}  // namespace nmlbench
