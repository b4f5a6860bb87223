#include "support/weight_files.h"

#include "support/safetensors.h"
#include "support/state_dict.h"

#include <string>

namespace nmlbench {
namespace {

bool is_index(const std::filesystem::path& file) {
  return file.string().ends_with(".safetensors.index.json");
}

}  // namespace

std::vector<std::filesystem::path> files_of_weights(const std::filesystem::path& file) {
  std::vector<std::filesystem::path> files = {file};
  if (is_index(file)) {
    for (std::filesystem::path& shard : shards_of_index(file)) files.push_back(std::move(shard));
  }
  return files;
}

std::vector<StoredTensor> read_weights(const std::filesystem::path& file) {
  if (file.extension() == ".safetensors") return read_safetensors_file(file);
  if (!is_index(file)) return read_state_dict(file);
  std::vector<StoredTensor> tensors;
  for (const std::filesystem::path& shard : shards_of_index(file)) {
    for (StoredTensor& tensor : read_safetensors_file(shard)) tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace nmlbench
