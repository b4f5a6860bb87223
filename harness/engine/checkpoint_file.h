// A trained encoder's weights as a .safetensors file, under the names that its tensors are registered by: for families
// of encoders those of timm, so that timm loads the file as it is.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <torch/nn/module.h>

namespace nmlbench {

inline constexpr char kCheckpointFile[] = "model.safetensors";

// Every parameter and buffer, but for those that only training needs (Encoder, nmlbench/encoder.h). Throws Error for a
// tensor of a type that the format does not have.
std::string checkpoint_bytes(const torch::nn::Module& encoder, const std::map<std::string, std::string>& metadata);

// Fills the same tensors from such a file. Throws DamagedFile, and leaves the encoder as it was, when the file has
// others, or they have other types or shapes.
void load_checkpoint(torch::nn::Module& encoder, const std::filesystem::path& file);

}  // namespace nmlbench
