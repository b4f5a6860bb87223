// Samples as vectors, for noise that depends on them.
#pragma once

#include <nmlbench/noise.h>

#include <filesystem>

namespace nmlbench::plugins {

// Reads the vectors of some samples at a time: rows of a file of features, or, without one, the samples themselves,
// flattened, images in [0, 1].
class SampleVectors {
 public:
  // Throws DataError when the file does not fit the set.
  SampleVectors(const NoiseInput& input, const std::filesystem::path& features);

  std::int64_t dim() const { return dim_; }
  // float64 [B, D] of the samples at `indices` (int64 [B]).
  torch::Tensor at(const torch::Tensor& indices) const;

 private:
  const NoiseInput& input_;
  torch::Tensor features_;  // float64 [N, D]; undefined: the samples
  std::int64_t dim_ = 0;
};

}  // namespace nmlbench::plugins
