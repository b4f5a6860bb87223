// LibTorch calls whose spelling depends on the version, each behind one name of ours.
#pragma once

#include <nmlbench/error.h>
#include <nmlbench/torch.h>

#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
#define NMLBENCH_FUSED_ADAMW
#include <ATen/ops/_fused_adamw.h>
#endif

namespace nmlbench {

// Waits until the device has done all it was given.
inline void synchronize(torch::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

// A tensor of the CPU on the device, in what the device does next. A GPU is not waited for: it copies from page-locked
// memory when it comes to it.
inline torch::Tensor send(const torch::Tensor& tensor, torch::Device device) {
  return device.is_cuda() ? tensor.pin_memory().to(device, /*non_blocking=*/true) : tensor.to(device);
}

// softmax(query key^T / sqrt(d)), [B, heads, N, N], of what scaled_dot_product_attention() takes.
inline torch::Tensor attention_weights(const torch::Tensor& query, const torch::Tensor& key,
                                       const torch::Tensor& mask = {}) {
  const double scale = 1 / std::sqrt(static_cast<double>(query.size(-1)));
  torch::Tensor scores = (query * scale).matmul(key.transpose(-2, -1));
  if (mask.defined()) scores = scores.masked_fill(mask.logical_not(), -std::numeric_limits<double>::infinity());
  return scores.softmax(-1);
}

// softmax(query key^T / sqrt(d)) value, each [B, heads, N, d] -> the same; in one kernel where LibTorch has it. `mask`:
// bool, broadcast to [B, heads, N, N], true where a query may look; undefined: everywhere.
inline torch::Tensor scaled_dot_product_attention(const torch::Tensor& query, const torch::Tensor& key,
                                                  const torch::Tensor& value, const torch::Tensor& mask = {}) {
#if TORCH_VERSION_MAJOR >= 2
  return mask.defined() ? at::scaled_dot_product_attention(query, key, value, mask)
                        : at::scaled_dot_product_attention(query, key, value);
#else
  return attention_weights(query, key, mask).matmul(value);
#endif
}

// What many tensors share in a step of AdamW, but for its step size.
struct AdamWRates {
  double weight_decay, beta1, beta2, epsilon;
};

// LibTorch's AdamW (Loshchilov & Hutter 2019) on a GPU in one pass over memory. `step`, from 1, and `lr` are float32
// scalars on the device, so that a replayed step can be given others.
inline void fused_adamw(const std::vector<torch::Tensor>& values, const std::vector<torch::Tensor>& gradients,
                        const std::vector<torch::Tensor>& first_moments,
                        const std::vector<torch::Tensor>& second_moments, const torch::Tensor& step,
                        const torch::Tensor& lr, const AdamWRates& rates) {
#ifdef NMLBENCH_FUSED_ADAMW
  const std::vector<torch::Tensor> steps(values.size(), step);
  at::_fused_adamw_(values, gradients, first_moments, second_moments, {}, steps, lr, rates.beta1, rates.beta2,
                    rates.weight_decay, rates.epsilon, /*amsgrad=*/false, /*maximize=*/false);
#else
  (void)values, (void)gradients, (void)first_moments, (void)second_moments, (void)step, (void)lr, (void)rates;
  throw Error("AdamW runs on a GPU with LibTorch 2.4 or newer; build against a newer one or run on the CPU");
#endif
}

// Turns bfloat16 autocast on for one device type while the object lives, or does nothing when `enabled` is false.
// [any-thread]: autocast state is per thread.
class AutocastGuard {
 public:
  AutocastGuard(torch::DeviceType device, bool enabled) : device_(device), enabled_(enabled) {
    if (!enabled_) return;
    at::autocast::increment_nesting();
    set(true);
  }
  ~AutocastGuard() {
    if (!enabled_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    set(false);
  }
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  void set(bool on) const {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
    at::autocast::set_autocast_enabled(device_, on);
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
#else
    if (device_ == torch::kCUDA) {
      at::autocast::set_enabled(on);
      at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
    } else {
      at::autocast::set_cpu_enabled(on);
      at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    }
#endif
  }

  torch::DeviceType device_;
  bool enabled_;
};

// On a GPU: whether convolutions and matrix products of float32 may round their factors to TF32, while the object
// lives. LibTorch's own default is yes for convolutions. The switch is the process's, so one stage uses a GPU at a
// time.
class Tf32Guard {
 public:
  Tf32Guard(torch::Device device, bool allowed) : enabled_(device.is_cuda()) {
    if (enabled_) set(allowed);
  }
  ~Tf32Guard() {
    if (enabled_) set(false);
  }
  Tf32Guard(const Tf32Guard&) = delete;
  Tf32Guard& operator=(const Tf32Guard&) = delete;

 private:
  static void set(bool allowed) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
    const auto precision = allowed ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
    for (const at::Float32Op op : {at::Float32Op::CONV, at::Float32Op::RNN, at::Float32Op::MATMUL})
      at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, op, precision);
#else
    at::globalContext().setAllowTF32CuDNN(allowed);
    at::globalContext().setAllowTF32CuBLAS(allowed);
#endif
  }

  bool enabled_;
};

}  // namespace nmlbench
