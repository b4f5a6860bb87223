// Tests of what a GPU computes: skipped without one. NMLBENCH_TEST_DEVICE names another device; `cpu` tries the tests
// themselves.
#pragma once

#include <nmlbench/torch.h>

#include <cstdlib>

#include <gtest/gtest.h>

namespace nmlbench::testing {

class Gpu : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* name = std::getenv("NMLBENCH_TEST_DEVICE");
    if (name == nullptr && !torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
    device_ = torch::Device(name != nullptr ? name : "cuda:0");
  }

  torch::Device device_{torch::kCPU};
};

inline double relative_error(const torch::Tensor& got, const torch::Tensor& expected) {
  return ((got.cpu().to(torch::kFloat64) - expected).norm() / expected.norm().clamp_min(1e-300)).item<double>();
}

}  // namespace nmlbench::testing
