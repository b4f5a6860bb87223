// Training steps that several processes share (data parallelism): each has some samples of a batch, and what they
// compute, sums of gradients included, is what one process would of the whole batch, to rounding.
#pragma once

#include <nmlbench/error.h>
#include <nmlbench/torch.h>

#include <cstdint>

namespace nmlbench {

// The processes. All of them call the same members in the same order.
class NMLBENCH_EXPORT ProcessGroup {
 public:
  virtual ~ProcessGroup();
  virtual std::int64_t rank() const = 0;  // of this process, in [0, size)
  virtual std::int64_t size() const = 0;
  // `x` becomes the sum of what all processes give, with equal bits in all of them. float32, float64 or int64, on any
  // device, and of one shape everywhere. Throws Error when another process has ended or cannot be reached.
  virtual void all_reduce(torch::Tensor& x) = 0;
};

// Which samples of a batch a process has.
struct BatchShare {
  torch::Tensor places;   // int64 [b], CPU, ascending, in [0, size); undefined: all samples
  std::int64_t size = 0;  // B, samples of the whole batch, where `places` is defined

  // The place of sample i of this process in the whole batch.
  std::int64_t place(std::int64_t i) const { return places.defined() ? places[i].item<std::int64_t>() : i; }

  // Numbers drawn for the b samples of this process, [b, ...]: `draw(n)` gives those for a batch of n, [n, ...].
  template <typename Draw>
  torch::Tensor drawn(std::int64_t b, const Draw& draw) const {
    return places.defined() ? draw(size).index_select(0, places) : draw(b);
  }
};

// A step that processes share, forwards and backwards.
struct SharedStep {
  ProcessGroup& group;
  BatchShare share;
};

// The step that this thread is at; null where the process has the whole batch. On a GPU gradients are computed by
// another thread: an autograd function takes the pointer in forward() along.
NMLBENCH_EXPORT const SharedStep* shared_step();

// For the harness and for tests: `step` is what this thread is at while the object lives. Null changes nothing.
class NMLBENCH_EXPORT SharedStepScope {
 public:
  explicit SharedStepScope(const SharedStep* step);
  ~SharedStepScope();
  SharedStepScope(const SharedStepScope&) = delete;
  SharedStepScope& operator=(const SharedStepScope&) = delete;

 private:
  const SharedStep* before_;
};

// x, float32 or float64 [b, ...] for the samples of this process -> [B, ...] for those of all. Its gradient is summed
// over the processes. Outside a shared step x itself.
NMLBENCH_EXPORT torch::Tensor gather_batch(const torch::Tensor& x);

}  // namespace nmlbench
