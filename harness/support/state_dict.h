// Tensors of the files that torch.save() writes (.pt, .pth, .bin), read without Python.
#pragma once

#include "support/stored_tensor.h"

#include <filesystem>
#include <vector>

namespace nmlbench {

// The state dict in a zip file of PyTorch 1.6 or later, or in the older format without a zip. It may stand under
// "state_dict" or "model" of a training checkpoint. No more memory is used than twice the file's size. Throws
// DataError, one line that names the file.
std::vector<StoredTensor> read_state_dict(const std::filesystem::path& file);

}  // namespace nmlbench
