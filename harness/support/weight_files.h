// Files with an encoder's weights, in any of the formats that people have.
#pragma once

#include "support/stored_tensor.h"

#include <filesystem>
#include <vector>

namespace nmlbench {

// Everything that a file with weights stands for: itself, and the shards of a `.safetensors.index.json`. Throws
// DataError naming the index when it is malformed.
std::vector<std::filesystem::path> files_of_weights(const std::filesystem::path& file);

// All tensors: .safetensors, an index of such shards, or what torch.save() wrote. Throws DataError, one line.
std::vector<StoredTensor> read_weights(const std::filesystem::path& file);

}  // namespace nmlbench
