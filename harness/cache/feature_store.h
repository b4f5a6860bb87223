// Frozen features in the artifact cache: x.f32 (float32 [N, D], row-major, native byte order) and y.i64 (int64 [N]).
// Both are memory-mapped, so features larger than memory can be written and read.
#pragma once

#include "cache/artifacts.h"

#include <nmlbench/torch.h>

#include <cstdint>
#include <optional>
#include <string>

namespace nmlbench {

struct Features {
  torch::Tensor x;           // float32 [N, D], mapped
  torch::Tensor y;           // int64 [N]
  std::int64_t classes = 0;  // as the dataset declares
  std::int64_t tokens = 1;   // StackShape::tokens
};

std::optional<Features> load_features(const ArtifactCache& cache, const std::string& id);
// Features that were there earlier in this run are gone, or were damaged meanwhile; the next run makes them again.
class FeaturesGone : public Error {
 public:
  using Error::Error;
};
// For features that were made earlier in this run: throws FeaturesGone when they are not there any more.
Features require_features(const ArtifactCache& cache, const std::string& id);

// Write rows into x(), then publish. Space is reserved first: a full disk is an Error, not a crash.
class FeatureWriter {
 public:
  FeatureWriter(ArtifactCache& cache, std::int64_t rows, std::int64_t dim, std::int64_t tokens = 1);

  torch::Tensor x() { return x_; }  // float32 [N, D], mapped to the staged file
  void publish(const std::string& id, const torch::Tensor& labels, std::int64_t classes, nlohmann::json about);

 private:
  ArtifactCache& cache_;
  Staging staging_;
  torch::Tensor x_;
  std::int64_t tokens_;
};

}  // namespace nmlbench
