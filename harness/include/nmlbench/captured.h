// A function of tensors that a GPU replays as one CUDA graph: launching the hundreds of kernels of a small network's
// step takes longer than running them. NMLBENCH_CUDA_GRAPHS=0 turns it off.
#pragma once

#include <nmlbench/error.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace nmlbench {

class NMLBENCH_EXPORT Captured {
 public:
  // Between calls of one variant only the values of its inputs, and what it itself writes in place, may differ: it does
  // the same operations on the same memory each time. What waits for the device cannot be captured. The result must be
  // a tensor of the function's own.
  using Function = std::function<torch::Tensor(const std::vector<torch::Tensor>& inputs)>;

  Captured();
  ~Captured();
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;

  // function(inputs) on the device of the first input; those that lie on the CPU are sent there. On a GPU the second
  // call of a variant with inputs of the same sizes captures what later ones replay. A capture that fails is warned of
  // once, and calls go on kernel by kernel.
  torch::Tensor operator()(const Function& function, const std::vector<torch::Tensor>& inputs,
                           const std::vector<std::int64_t>& variant = {});

  // Forgets the graphs, for when memory that the function uses has moved.
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nmlbench
