// The losses of an epoch's steps, kept on their device: no step waits for the host to look at one.
#pragma once

#include <nmlbench/torch.h>

#include <cstdint>

namespace nmlbench {

class EpochLosses {
 public:
  EpochLosses(std::int64_t steps, torch::Device device)
      : losses_(torch::zeros({steps}, torch::dtype(torch::kFloat32).device(device))) {}

  // `step` counts from 0 within the epoch; `loss` is a single number.
  void keep(std::int64_t step, const torch::Tensor& loss) { losses_[step].copy_(loss); }

  // float32 [steps]; processes that train together add up theirs.
  torch::Tensor& of_steps() { return losses_; }

  // The first step, from 1, whose loss is NaN or infinite. To be asked where there is one.
  std::int64_t first_not_finite() const {
    return torch::isfinite(losses_).logical_not().to(torch::kCPU).to(torch::kInt64).argmax().item<std::int64_t>() + 1;
  }

 private:
  torch::Tensor losses_;
};

}  // namespace nmlbench
