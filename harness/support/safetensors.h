// Files in the safetensors format: 8 bytes with the length of a JSON header, the header, then the tensors' bytes.
#pragma once

#include "support/stored_tensor.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace nmlbench {

// All tensors of a file, mapped, in the order of their bytes. Throws DataError, one line that names the file, for a
// header that is too long, malformed or of a type that cannot be read, and for tensors that overlap, leave gaps or
// reach beyond the end of the file.
std::vector<StoredTensor> read_safetensors_file(const std::filesystem::path& file);

// The bytes of such a file with these tensors, contiguous ones, and this metadata. Each begins at a multiple of its
// element's size, as the format's own library demands.
std::string safetensors_bytes(std::vector<StoredTensor> tensors, const std::map<std::string, std::string>& metadata);

// The shards that a `model.safetensors.index.json` names, beside it, sorted. Throws DataError naming the index.
std::vector<std::filesystem::path> shards_of_index(const std::filesystem::path& index);

}  // namespace nmlbench
