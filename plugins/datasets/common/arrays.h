// Arrays in NumPy's .npy format and in .safetensors files: headers checked against the file before anything is read.
#pragma once

#include <nmlbench/torch.h>

#include <filesystem>
#include <string>

namespace nmlbench::plugins {

// The array of an .npy file (versions 1 to 3, C or Fortran order, little-endian floats and integers), memory-mapped.
// Throws DataError naming the file.
torch::Tensor read_npy(const std::filesystem::path& file);

// One tensor of a .safetensors file, memory-mapped. `chooser` is the parameter that named it. Throws DataError naming
// the file and the tensor.
torch::Tensor read_safetensors(const std::filesystem::path& file, const std::string& name, const std::string& chooser);

}  // namespace nmlbench::plugins
