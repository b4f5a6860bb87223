// The loss of contrastive image-text pre-training.
#pragma once

#include <nmlbench/dataset.h>
#include <nmlbench/torch.h>

#include <vector>

namespace nmlbench::plugins {

// Rows of unit length, in float32 (float64 for float64 ones); a row of zeros stays one, with finite gradients.
torch::Tensor unit_rows(const torch::Tensor& x);

// Symmetric InfoNCE (Radford et al., ICML 2021, figure 3): the mean of two cross-entropies, of every image choosing its
// text among the texts and of every text choosing its image among the images, over logits scale * cos(image, text).
//
// image, text: [B, E], any length; scale: scalar. paired: bool [B]; an image and a text that are no pair take no part,
// neither as a question nor as a wrong answer. Without any pair the loss is 0. In float32 also under autocast (float64
// for float64 embeddings): bfloat16 would round a logit of 100 by up to a quarter. In a step that processes share
// (nmlbench/data_parallel.h), B are the samples of this one, and images choose among the texts of all of them.
torch::Tensor info_nce(const torch::Tensor& image, const torch::Tensor& text, const torch::Tensor& scale,
                       const torch::Tensor& paired);

// bool [B]: which images have a caption. One that has lost it (caption-drop) has "".
torch::Tensor with_caption(const std::vector<Text>& captions, torch::Device device);

}  // namespace nmlbench::plugins
