#include "vectors.h"

#include "tables.h"

namespace nmlbench::plugins {

SampleVectors::SampleVectors(const NoiseInput& input, const std::filesystem::path& features) : input_(input) {
  if (!features.empty()) {
    const std::int64_t n = input.targets.size(0);
    const torch::Tensor rows = input.rows.defined() ? input.rows : torch::arange(n);
    features_ = read_features(features, rows, input.full_size > 0 ? input.full_size : n);
    dim_ = features_.size(1);
  } else {
    dim_ = input.samples(torch::zeros({1}, torch::kInt64)).numel();
  }
}

torch::Tensor SampleVectors::at(const torch::Tensor& indices) const {
  if (features_.defined()) return features_.index_select(0, indices);
  const torch::Tensor samples = input_.samples(indices);
  const torch::Tensor x = samples.to(torch::kFloat64).view({indices.size(0), -1});
  return samples.scalar_type() == torch::kUInt8 ? x / 255.0 : x;
}

}  // namespace nmlbench::plugins
