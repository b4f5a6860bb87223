// Loss and gradients of a training step. On a GPU they can be captured as one CUDA graph and replayed: launching a
// small network's hundreds of kernels takes longer than running them. Off unless NMLBENCH_CUDA_GRAPHS=1.
#pragma once

#include <nmlbench/encoder.h>

#include <functional>
#include <memory>

namespace nmlbench {

class GradientStep {
 public:
  // Sets the gradients to those of the batch and returns its loss, detached. Of the batch only tensors' values differ
  // from call to call; what depends on anything else of it, or waits for the device, cannot be captured.
  using Compute = std::function<torch::Tensor(const Batch&)>;

  GradientStep(Compute compute, torch::Device device);
  ~GradientStep();
  GradientStep(const GradientStep&) = delete;
  GradientStep& operator=(const GradientStep&) = delete;

  // Captured after some steps; a capture that fails is logged, and steps go on without.
  torch::Tensor operator()(const Batch& batch);

 private:
  struct Graph;

  Compute compute_;
  torch::Device device_;
  int steps_before_capture_;  // -1: never
  std::unique_ptr<Graph> graph_;
};

}  // namespace nmlbench
