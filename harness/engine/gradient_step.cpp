#include "engine/gradient_step.h"

#include "engine/process.h"
#include "support/environment.h"

#include <nmlbench/compat.h>

#include <utility>

#include <spdlog/spdlog.h>

#ifdef NMLBENCH_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace nmlbench {
namespace {

constexpr int kStepsBeforeCapture = 3;  // libraries choose their algorithms and take their memory in the first ones

bool wanted(torch::Device device) {
  return device.is_cuda() && environment("NMLBENCH_CUDA_GRAPHS") == "1";
}

}  // namespace

#ifdef NMLBENCH_CUDA
struct GradientStep::Graph {
  Batch batch;  // what the captured kernels read
  torch::Tensor loss;
  at::cuda::CUDAGraph graph;

  Graph(const Compute& compute, const Batch& first, torch::Device device)
      : batch{first.x.clone(), first.y.clone(), first.text.defined() ? first.text.clone() : first.text} {
    synchronize(device);
    const c10::cuda::CUDAStreamGuard side(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index()));
    graph.capture_begin();
    try {
      loss = compute(batch);
    } catch (...) {
      try {
        graph.capture_end();  // leaves the stream usable
      } catch (const c10::Error&) {
      }
      throw;
    }
    graph.capture_end();
  }

  bool fits(const Batch& other) const {
    return batch.x.sizes() == other.x.sizes() && batch.y.sizes() == other.y.sizes() &&
           (!batch.text.defined() || batch.text.sizes() == other.text.sizes());
  }

  torch::Tensor replay(const Batch& other) {
    batch.x.copy_(other.x);
    batch.y.copy_(other.y);
    if (batch.text.defined()) batch.text.copy_(other.text);
    graph.replay();
    return loss.clone();
  }
};
#else
struct GradientStep::Graph {
  Graph(const Compute&, const Batch&, torch::Device) {}
  bool fits(const Batch&) const { return false; }
  torch::Tensor replay(const Batch&) const { return {}; }
};
#endif

GradientStep::GradientStep(Compute compute, torch::Device device)
    : compute_(std::move(compute)), device_(device), steps_before_capture_(wanted(device) ? kStepsBeforeCapture : -1) {}

GradientStep::~GradientStep() = default;

torch::Tensor GradientStep::operator()(const Batch& batch) {
  if (steps_before_capture_ < 0) return compute_(batch);
  if (steps_before_capture_ > 0) {
    --steps_before_capture_;
    return compute_(batch);
  }
  if (!graph_) {
    try {
      graph_ = std::make_unique<Graph>(compute_, batch, device_);
    } catch (...) {
      spdlog::warn("the training step cannot be captured as a CUDA graph ({}); it runs kernel by kernel",
                   message_of_current_exception());
      steps_before_capture_ = -1;
      return compute_(batch);
    }
  }
  return graph_->fits(batch) ? graph_->replay(batch) : compute_(batch);
}

}  // namespace nmlbench
