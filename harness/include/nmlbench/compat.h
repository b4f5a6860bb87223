// LibTorch calls whose spelling depends on the version, each behind one name of ours.
#pragma once

#include <nmlbench/torch.h>

#include <ATen/autocast_mode.h>

namespace nmlbench {

// Waits until the device has done all it was given.
inline void synchronize(torch::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
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

}  // namespace nmlbench
