// Class-dependent label noise: the same transition matrix for every sample.
#pragma once

#include "label_flips.h"

#include <nmlbench/noise.h>
#include <nmlbench/params.h>

namespace nmlbench::plugins {

// T = (1 - ratio) I + ratio M, where `kind` says what M is:
//   pair        class c goes to c + 1 mod K (Han et al., 2018)
//   superclass  to the next class, or to any other one, of its superclass (Patrini et al., 2017, on CIFAR-100)
//   map         class c goes to map[c], which may be c itself (Patrini et al., 2017: truck -> automobile, cat <-> dog)
//   matrix      a row-stochastic matrix from a file; ratio = 1 takes it as it is
class Asymmetric : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("preset", "none", "none|cifar10|cifar100|mnist", "the maps and superclasses of Patrini et al., 2017"),
      choice("kind", "pair", "pair|superclass|map|matrix", "where the labels of a class go"),
      real("ratio", nullptr, "fraction of the labels that go there; 1 with kind = \"matrix\" takes the file as it is")
          .as(Role::noise_ratio)
          .range(0, 1),
      reals("superclass", "", "kind = \"superclass\": the superclass of each class").range(0, 1e6),
      choice("within", "next", "next|uniform",
             "kind = \"superclass\": to its next class, or to any other of its classes"),
      reals("map", "", "kind = \"map\": the class that each class goes to").range(0, 1e6),
      path("matrix", "", "kind = \"matrix\": [K, K], rows sum to 1, clean -> noisy class; .npy or .csv"),
      kFlipMode,
  };
  static constexpr Preset kPresets[] = {
      {"cifar10", "kind=map map=0,1,0,5,7,3,6,7,8,1"},
      {"cifar100",
       "kind=superclass superclass=4,1,14,8,0,6,7,7,18,3,3,14,9,18,7,11,3,9,7,11,6,11,5,10,7,6,13,15,3,15,0,11,1,10,12,"
       "14,16,9,11,5,5,19,8,8,15,13,14,17,18,10,16,4,17,4,2,0,17,4,18,17,10,3,2,12,12,16,12,1,9,19,2,10,0,1,16,12,9,13,"
       "15,13,16,19,2,4,6,19,5,5,8,19,18,1,2,15,6,0,17,8,14,13"},
      {"mnist", "kind=map map=0,1,7,8,4,6,5,1,8,9"},
  };

  explicit Asymmetric(const Params& params) : params_(params) {}

  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override;
  std::optional<double> expected_rate(std::int64_t classes) const override;
  torch::Tensor expected_transition(std::int64_t classes) const override;

 private:
  torch::Tensor destinations(std::int64_t classes) const;  // M, float64 [K, K]
  torch::Tensor by_superclass(std::int64_t classes) const;
  torch::Tensor by_map(std::int64_t classes) const;

  Params params_;
};

}  // namespace nmlbench::plugins
