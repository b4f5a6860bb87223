// How a new CLIP's weights are drawn.
#pragma once

#include <nmlbench/random.h>

#include <torch/nn/module.h>

namespace nmlbench::plugins {

// As open_clip draws them, each from the stream of its name: those of the text tower and of the attention pooling
// normal (Radford et al., ICML 2021), those of the other layers of images as PyTorch's layers begin. A residual block
// of convolutions begins as the identity. `text_layers`: blocks of the text tower.
void initialise_clip(torch::nn::Module& clip, std::int64_t text_layers, const Stream& init);

}  // namespace nmlbench::plugins
