// A noise model corrupts pre-training targets. Test splits never pass through it.
#pragma once

#include <nmlbench/error.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <functional>
#include <optional>

namespace nmlbench {

struct NoiseInput {
  torch::Tensor targets;     // int64 [N], CPU: class labels, or 0..N-1 (which caption belongs to image i)
  std::int64_t classes = 0;  // K; N for image-text pairs
  // Images or vectors of the samples at `indices`, as Dataset::samples gives them; for instance-dependent noise.
  std::function<torch::Tensor(const torch::Tensor& indices)> samples;
};

class NMLBENCH_EXPORT NoiseModel {
 public:
  virtual ~NoiseModel();

  // True when the targets are image-text pairings rather than class labels.
  virtual bool corrupts_pairs() const { return false; }

  // Noisy targets, int64 [N], CPU; the input is not modified. Same input and draws, same output.
  virtual torch::Tensor corrupt(const NoiseInput& input, const Stream& draws) = 0;

  // The rate of changed targets that these parameters mean for K classes, where it is known in closed form; the
  // conformance kit compares the realised rate with it.
  virtual std::optional<double> expected_rate(std::int64_t classes) const {
    (void)classes;
    return std::nullopt;
  }
};

}  // namespace nmlbench
