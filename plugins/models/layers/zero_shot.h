// Classification by sentences about the classes (Radford et al., ICML 2021, section 3.1).
#pragma once

#include <nmlbench/encoder.h>

#include <functional>

namespace nmlbench::plugins {

// [classes, E], rows of unit length: the mean, over the sentences about a class, of their embeddings at unit length.
// embed: n texts -> [n, E]. Throws Error for no classes: the data have no names for them.
torch::Tensor class_embeddings(const std::vector<std::vector<Text>>& prompts,
                               const std::function<torch::Tensor(const std::vector<Text>&)>& embed);

// Cosines [B, classes] of images [B, E] and classes as class_embeddings() has them, in float32 also under autocast.
torch::Tensor cosines(const torch::Tensor& images, const torch::Tensor& classes);

}  // namespace nmlbench::plugins
