#include <nmlbench/compat.h>
#include <nmlbench/data_parallel.h>

#include <utility>

#include <torch/autograd.h>

namespace nmlbench {
namespace {

thread_local const SharedStep* step_of_thread = nullptr;

class GatherBatch : public torch::autograd::Function<GatherBatch> {
 public:
  using Context = torch::autograd::AutogradContext;

  static torch::Tensor forward(Context* ctx, const torch::Tensor& x) {
    const SharedStep* step = shared_step();
    ctx->saved_data["step"] = reinterpret_cast<std::int64_t>(step);
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes[0] = step->share.size;
    torch::Tensor all = torch::zeros(sizes, x.options()).index_copy_(0, send(step->share.places, x.device()), x);
    step->group.all_reduce(all);
    return all;
  }

  static torch::autograd::variable_list backward(Context* ctx, const torch::autograd::variable_list& gradients) {
    const auto* step = reinterpret_cast<const SharedStep*>(ctx->saved_data["step"].toInt());
    torch::Tensor all = gradients[0].clone(torch::MemoryFormat::Contiguous);
    step->group.all_reduce(all);
    return {all.index_select(0, send(step->share.places, all.device()))};
  }
};

}  // namespace

ProcessGroup::~ProcessGroup() = default;

const SharedStep* shared_step() {
  return step_of_thread;
}

SharedStepScope::SharedStepScope(const SharedStep* step) : before_(step_of_thread) {
  if (step != nullptr) step_of_thread = step;
}
SharedStepScope::~SharedStepScope() {
  step_of_thread = before_;
}

torch::Tensor gather_batch(const torch::Tensor& x) {
  return step_of_thread == nullptr ? x : GatherBatch::apply(x);
}

}  // namespace nmlbench
