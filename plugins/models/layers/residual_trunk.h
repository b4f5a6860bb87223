// The residual CNN that encoders of small images share (He et al., CVPR 2016).
//
//   3x3 stem (width, halves the image) -> 3 stages of residual blocks (width, 2 width, 4 width; the later two halve the
//   image) -> global average pooling [B, 4 width]
#pragma once

#include <nmlbench/encoder.h>

#include <memory>
#include <string>
#include <vector>

#include <torch/nn/modules/container/sequential.h>

namespace nmlbench::plugins {

class ResidualTrunk {
 public:
  // `blocks` residual blocks in each stage.
  ResidualTrunk(std::int64_t width, std::int64_t blocks);
  ~ResidualTrunk();

  // For the encoder to register; it is forward() that runs them.
  const torch::nn::Sequential& layers() const { return layers_; }
  std::int64_t dim() const { return 4 * width_; }

  // Kaiming-normal, fan out, for convolutions (He et al. 2015), batch norms at identity. Each weight is drawn from the
  // stream of its full name in the encoder, which registered layers() as `name`.
  void initialise(const Stream& init, const std::string& name);

  // x float32 [B, 3, H, W] -> float32 [B, dim()].
  torch::Tensor forward(const torch::Tensor& x);

 private:
  struct Parts;

  std::int64_t width_;
  torch::nn::Sequential layers_;
  std::unique_ptr<Parts> parts_;
};

// What encoders on this trunk take for granted: RGB squares of `size` px, (x - 0.5) / 0.25.
InputSpec trunk_input(std::int64_t size);

}  // namespace nmlbench::plugins
