// resnet-tiny: a residual CNN for 32x32 images that trains in about a minute on two cores: the shared trunk and a
// linear head for pre-training.
#include "models/layers/residual_trunk.h"

#include <nmlbench/plugin.h>

#include <cmath>
#include <optional>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

class ResNetTiny : public Encoder {
 public:
  static constexpr ParamSpec kParams[] = {
      integer("width", "32", "channels of the first stage; features have 4 times as many")
          .in("channels")
          .range(1, 1024),
      integer("blocks", "1", "residual blocks in each of the three stages").range(1, 16),
      integer("size", "32", "side of the images it sees").in("px").range(8, 512),
  };

  explicit ResNetTiny(const Params& params)
      : width_(params.integer("width")), blocks_(params.integer("blocks")), size_(params.integer("size")) {}

  void build(const InputInfo& input, const Stream& init) override {
    require_images(input, "resnet-tiny");
    trunk_.emplace(width_, blocks_);
    register_module("body", trunk_->layers());
    trunk_->initialise(init, "body");
    if (input.classes > 0) add_head(input.classes, init);
  }

  InputSpec input() const override { return trunk_input(size_); }
  std::int64_t feature_dim() const override { return trunk_->dim(); }

  torch::Tensor features(const Batch& batch) override { return trunk_->forward(batch.x); }
  torch::Tensor pretrain_logits(const Batch& batch) override {
    if (head_.is_empty()) throw Error("resnet-tiny was built without pre-training classes");
    return head_(features(batch));
  }
  bool capturable() const override { return true; }
  std::string data_parallel_obstacle() const override { return ""; }

 private:
  // Drawn as torch.nn.Linear draws.
  void add_head(std::int64_t classes, const Stream& init) {
    head_ = register_module("head", torch::nn::Linear(feature_dim(), classes));
    const torch::NoGradGuard no_grad;
    const double bound = 1.0 / std::sqrt(static_cast<double>(feature_dim()));
    for (auto& item : head_->named_parameters()) {
      item.value().copy_(init.at("head." + item.key()).uniform(item.value().sizes(), -bound, bound));
    }
  }

  std::int64_t width_;
  std::int64_t blocks_;
  std::int64_t size_;
  std::optional<ResidualTrunk> trunk_;
  torch::nn::Linear head_{nullptr};
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-resnet-tiny", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::ResNetTiny>("resnet-tiny", 1,
                                                                "a small residual CNN for 32x32 images",
                                                                "He et al., CVPR 2016"));
