#include <nmlbench/captured.h>
#include <nmlbench/compat.h>
#include <nmlbench/warning.h>

#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#ifdef NMLBENCH_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace nmlbench {
namespace {

constexpr std::size_t kMostVariants = 16;  // each graph keeps memory of its own; further variants run kernel by kernel

// The first call of a variant lets libraries choose their algorithms and take their memory.
constexpr int kCallsBeforeCapture = 1;

bool wanted(torch::Device device) {
  const char* value = std::getenv("NMLBENCH_CUDA_GRAPHS");
  return device.is_cuda() && (value == nullptr || std::string_view(value) != "0");
}

std::vector<std::int64_t> key_of(const std::vector<torch::Tensor>& inputs, const std::vector<std::int64_t>& variant) {
  std::vector<std::int64_t> key = variant;
  for (const torch::Tensor& input : inputs) {
    key.push_back(input.dim());
    key.insert(key.end(), input.sizes().begin(), input.sizes().end());
  }
  return key;
}

std::vector<torch::Tensor> all_on(torch::Device device, std::vector<torch::Tensor> inputs) {
  for (torch::Tensor& input : inputs) {
    if (input.device() != device) input = send(input, device);
  }
  return inputs;
}

#ifdef NMLBENCH_CUDA
// Every capture is on one stream: a library's workspace, 32 MiB of cuBLAS, is each stream's own. One stage at a time
// uses a GPU.
c10::cuda::CUDAStream capture_stream(c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  const std::lock_guard lock(mutex);
  return streams.try_emplace(device, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)).first->second;
}

// Where the graphs of one Captured, which replay one after the other, put what they compute on the way.
struct Pool {
  at::cuda::MempoolId_t id = at::cuda::graph_pool_handle();
};

struct Graph {
  std::vector<torch::Tensor> inputs;  // what the captured kernels read
  torch::Tensor result;
  at::cuda::CUDAGraph graph;

  Graph(const Captured::Function& function, const std::vector<torch::Tensor>& first, const Pool& pool) {
    const torch::Device device = first.front().device();
    for (const torch::Tensor& input : all_on(device, first)) inputs.push_back(input.clone());
    synchronize(device);
    const c10::cuda::CUDAStreamGuard side(capture_stream(device.index()));
    graph.capture_begin(pool.id);
    try {
      result = function(inputs);
    } catch (...) {
      try {
        graph.capture_end();  // leaves the stream usable
      } catch (const c10::Error&) {
      }
      throw;
    }
    graph.capture_end();
  }

  torch::Tensor replay(const std::vector<torch::Tensor>& values) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      inputs[i].copy_(values[i].is_cpu() ? values[i].pin_memory() : values[i], /*non_blocking=*/true);
    }
    graph.replay();
    return result.clone();
  }
};
#else
struct Pool {};

struct Graph {
  Graph(const Captured::Function&, const std::vector<torch::Tensor>&, const Pool&) {}
  torch::Tensor replay(const std::vector<torch::Tensor>&) const { return {}; }
};
#endif

struct Variant {
  int calls = 0;
  std::unique_ptr<Graph> graph;
};

std::string message_of(const std::exception& error) {
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
  return of_torch != nullptr ? of_torch->what_without_backtrace() : error.what();
}

}  // namespace

struct Captured::State {
  std::map<std::vector<std::int64_t>, Variant> variants;
  Pool pool;
  bool possible = true;
};

Captured::Captured() : state_(std::make_unique<State>()) {}
Captured::~Captured() = default;

void Captured::reset() {
  state_->variants.clear();
  state_->pool = Pool();  // one that its last graph has left cannot be used again
}

torch::Tensor Captured::operator()(const Function& function, const std::vector<torch::Tensor>& inputs,
                                   const std::vector<std::int64_t>& variant) {
  const torch::Device device = inputs.front().device();
  const auto call = [&] { return function(all_on(device, inputs)); };
  if (!state_->possible || !wanted(device)) return call();
  std::vector<std::int64_t> key = key_of(inputs, variant);
  if (state_->variants.size() == kMostVariants && state_->variants.count(key) == 0) return call();
  Variant& found = state_->variants[std::move(key)];
  if (found.calls++ < kCallsBeforeCapture) return call();
  if (!found.graph) {
    try {
      found.graph = std::make_unique<Graph>(function, inputs, state_->pool);
    } catch (const std::exception& error) {
      warn_once(std::string("a training step cannot be captured as a CUDA graph (") + message_of(error) +
                "); it runs kernel by kernel");
      state_->possible = false;
      reset();
      return call();
    }
  }
  return found.graph->replay(inputs);
}

}  // namespace nmlbench
