// Random erasing (Zhong et al. 2020), as timm's RandomErasing in mode "pixel" with its usual sizes.
#pragma once

#include <nmlbench/data_parallel.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

namespace nmlbench {

// x float32 [B, C, H, W], normalised -> the same shape. In a share of `probability` of the images one box, of 1/50 to
// 1/3 of the area and of an aspect ratio between 0.3 and 1/0.3, drawn up to ten times until it fits, becomes standard
// normal noise. An image's draws are named by its place in the batch.
torch::Tensor random_erasing(const torch::Tensor& x, double probability, const Stream& draws,
                             const BatchShare& share = {});

}  // namespace nmlbench
