// Learned positions of the patches of an image, for images of another size.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

// theirs [others + n n, D] (or with a 1 before) -> `ours`, [others + m m, D] (or with a 1 before): positions of patches
// are resampled, as timm and open_clip do (bicubic, antialiased), those of other tokens before them stay. Undefined
// when the shapes are no such.
torch::Tensor resampled_positions(const torch::Tensor& theirs, std::int64_t others, torch::IntArrayRef ours);

}  // namespace nmlbench::plugins
