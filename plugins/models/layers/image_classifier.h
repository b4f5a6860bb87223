// What families of image encoders share: a trunk under the tensor names of timm, pre-trained by cross-entropy over a
// linear head, or with weights from a file.
#pragma once

#include "models/layers/draws.h"
#include "models/layers/full_precision.h"
#include "models/layers/image_input.h"
#include "models/layers/layered_encoder.h"
#include "models/layers/stochastic_depth.h"
#include "models/weights/load_weights.h"

#include <string>
#include <vector>

#include <torch/nn/modules/linear.h>

namespace nmlbench::plugins {

inline constexpr ParamSpec kDropPathParam =
    real("drop_path", "0", "stochastic depth: share of samples that skip the last residual branch in pre-training")
        .range(0, 0.99);

// Of networks whose hidden states are the outputs of their stages.
#define NMLBENCH_STAGE_READOUT_PARAMS(states) \
  NMLBENCH_READOUT_PARAMS("mean", "mean|max", "mean or maximum over the pixels of a hidden state", states)

class ImageClassifier : public LayeredEncoder {
 public:
  // `name`: the plugin's, for messages. Throws Error for a size or crop_pct that is too small.
  ImageClassifier(const char* name, const Params& params, const UsualInput& usual = {});

  void build(const InputInfo& input, const Stream& init) final;
  InputSpec input() const final { return input_.spec(); }
  torch::Tensor features(const Batch& batch) final { return encode(batch.x, readouts()); }
  bool trainable() const final { return weights_.empty(); }
  torch::Tensor pretrain_logits(const Batch& batch) final;
  bool capturable() const final { return !drop_path_.active(); }
  std::string data_parallel_obstacle() const final { return ""; }

 protected:
  std::int64_t size() const { return input_.size(); }
  const StochasticDepth& drop_path() const { return drop_path_; }

  // Registers the layers of the trunk. Throws Error for parameters that do not go together.
  virtual void add_layers() = 0;
  // A head of this many classes, registered. Its weight may have further dimensions of 1, where timm's is a
  // convolution.
  virtual torch::nn::Linear add_head(std::int64_t classes) { return register_module("head", linear_head(classes)); }
  // Fills the weights from streams by their names; what it leaves has the values that LibTorch's layers begin with, of
  // which random ones are not allowed.
  virtual void initialise(const Stream& init) = 0;
  // Offers the hidden states of x, float32 [B, 3, size, size], one after the other, as long as they are wanted.
  virtual void run(const torch::Tensor& x, HiddenStates& states) = 0;
  // Of a hidden state, [B, width(layer)], float. This one is for pixels [B, C, H, W].
  virtual torch::Tensor pooled(const torch::Tensor& state, std::int64_t layer, const std::string& pooling);
  std::string head_pooling() const override { return "mean"; }
  // Names of other libraries. The head's tensors are left out.
  virtual std::vector<Rename> renames() const = 0;
  // Adapt, of load_weights().
  virtual torch::Tensor adapted(const std::string& /*name*/, const torch::Tensor& /*theirs*/,
                                torch::IntArrayRef /*ours*/) const {
    return {};
  }

  torch::nn::Linear linear_head(std::int64_t classes) const { return torch::nn::Linear(head_width(), classes); }

 private:
  // x [B, 3, size, size] -> [B, columns of the readouts].
  torch::Tensor encode(const torch::Tensor& x, const std::vector<Readout>& readouts);

  ImageInput input_;
  std::string weights_;
  StochasticDepth drop_path_;
  torch::nn::Linear head_{nullptr};
};

}  // namespace nmlbench::plugins
