#include "engine/checkpoint_file.h"

#include "cache/checked_file.h"
#include "support/safetensors.h"

#include <nmlbench/dense.h>

#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <torch/types.h>

namespace nmlbench {
namespace {

using torch::Tensor;

std::optional<ElementType> element_type(torch::ScalarType type) {
  switch (type) {
    case torch::kFloat16:
      return ElementType::f16;
    case torch::kBFloat16:
      return ElementType::bf16;
    case torch::kFloat32:
      return ElementType::f32;
    case torch::kFloat64:
      return ElementType::f64;
    case torch::kUInt8:
      return ElementType::u8;
    case torch::kInt8:
      return ElementType::i8;
    case torch::kInt16:
      return ElementType::i16;
    case torch::kInt32:
      return ElementType::i32;
    case torch::kInt64:
      return ElementType::i64;
    case torch::kBool:
      return ElementType::boolean;
    default:
      return std::nullopt;
  }
}

bool serves_training_alone(const std::string& name) {
  return ("." + name).find(".training_state.") != std::string::npos;
}

std::map<std::string, Tensor> weights_of(const torch::nn::Module& encoder) {
  std::map<std::string, Tensor> weights;
  for (const auto& tensors : {encoder.named_parameters(), encoder.named_buffers()}) {
    for (const auto& item : tensors) {
      if (!serves_training_alone(item.key())) weights.emplace(item.key(), item.value());
    }
  }
  return weights;
}

}  // namespace

std::string checkpoint_bytes(const torch::nn::Module& encoder, const std::map<std::string, std::string>& metadata) {
  std::vector<StoredTensor> tensors;
  for (const auto& [name, weight] : weights_of(encoder)) {
    const auto type = element_type(weight.scalar_type());
    if (!type) {
      throw Error(fmt::format("the encoder's tensor {} has the type {}, which no checkpoint can hold", name,
                              c10::toString(weight.scalar_type())));
    }
    const Tensor dense = weight.detach().cpu().contiguous();
    tensors.push_back({name, *type, dense.sizes().vec(), contiguous_strides(dense.sizes().vec()),
                       std::shared_ptr<const std::byte>(dense_bytes(dense), [dense](const std::byte*) {})});
  }
  return safetensors_bytes(std::move(tensors), metadata);
}

void load_checkpoint(torch::nn::Module& encoder, const std::filesystem::path& file) {
  std::vector<StoredTensor> tensors;
  try {
    tensors = read_safetensors_file(file);
  } catch (const DataError& error) {
    throw DamagedFile(file, "is no checkpoint: " + std::string(error.what()));
  }
  std::map<std::string, Tensor> weights = weights_of(encoder);
  std::vector<std::pair<Tensor, Tensor>> pairs;  // the encoder's, the file's
  for (const StoredTensor& stored : tensors) {
    const auto found = weights.find(stored.name);
    if (found == weights.end() || element_type(found->second.scalar_type()) != stored.type ||
        found->second.sizes() != torch::IntArrayRef(stored.sizes)) {
      throw DamagedFile(file, "does not fit the encoder: it has no such tensor as " + stored.name);
    }
    Tensor theirs = torch::empty(stored.sizes, found->second.scalar_type());
    std::memcpy(dense_bytes(theirs), stored.data.get(), theirs.nbytes());
    pairs.emplace_back(found->second, std::move(theirs));
    weights.erase(found);
  }
  if (!weights.empty()) throw DamagedFile(file, "does not fit the encoder: it lacks " + weights.begin()->first);
  const torch::NoGradGuard no_grad;
  for (auto& [ours, theirs] : pairs) ours.copy_(theirs);
}

}  // namespace nmlbench
