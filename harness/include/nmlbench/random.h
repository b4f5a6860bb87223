// Named random draws (DESIGN: "Draws are named").
//
// A Stream is a name, not a state: asking the same stream twice gives the same numbers, and a child stream is named
// by its purpose. Adding a draw therefore never moves another one, and results do not depend on the order of work.
//
//   Stream init = draws.at("init");
//   auto w = init.at("w1").uniform({in, out}, -bound, bound);
//
// Numbers come from Philox 4x32-10 (Salmon et al., SC 2011) on the CPU, so they are equal on every device and
// machine; integers() and permutation() use integer arithmetic only. [any-thread]
#pragma once

#include <nmlbench/error.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <string_view>

namespace nmlbench {

class NMLBENCH_EXPORT Stream {
 public:
  explicit Stream(std::uint64_t seed);

  Stream at(std::string_view purpose) const;
  Stream at(std::int64_t index) const;

  std::uint64_t key() const { return key_; }

  // float32, in [low, high).
  torch::Tensor uniform(torch::IntArrayRef sizes, double low = 0.0, double high = 1.0) const;
  // float32, standard normal times `deviation` plus `mean`.
  torch::Tensor normal(torch::IntArrayRef sizes, double mean = 0.0, double deviation = 1.0) const;
  // int64, uniform in [0, bound), without modulo bias. bound must be at least 1.
  torch::Tensor integers(torch::IntArrayRef sizes, std::int64_t bound) const;
  // int64 [n], a uniformly random order of 0..n-1.
  torch::Tensor permutation(std::int64_t n) const;
  // One uniform number in [0, 1).
  double uniform() const;

 private:
  std::uint64_t key_;
};

}  // namespace nmlbench
