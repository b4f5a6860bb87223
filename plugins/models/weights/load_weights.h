// Puts the tensors of a file that somebody else made into an encoder.
#pragma once

#include <nmlbench/params.h>
#include <nmlbench/torch.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <torch/nn/module.h>

namespace nmlbench::plugins {

// The parameter of encoders that take one.
inline constexpr ParamSpec kWeightsParam =
    path("weights", "",
         "file with its weights: .safetensors (or .safetensors.index.json beside its shards), or a state dict of "
         "torch.save(); \"\" for pre-training from scratch");

// How another library calls a tensor, and how the encoder does. `pattern` is an ECMAScript regular expression for the
// whole name. In `ours`, $1 is what its first group matched; an empty one leaves the tensor out; one that ends in
// "#0", "#1", .. is a part of a tensor whose parts are stacked along the first dimension (query, key and value); one
// that ends in "#T" is a matrix that the other library has the other way round.
struct Rename {
  std::string pattern;
  std::string ours;
};

// Copies every parameter and buffer of `module` from `file` (support/weight_files.h), converted to float32. The first
// rename that matches a name counts; other names are taken as they are. A tensor of the same elements in another shape
// is taken when the shapes differ in sizes of 1 alone. `num_batches_tracked`, of no use in evaluation, may be missing.
//
// `adapt` is shown tensors whose shapes differ otherwise, and returns one of our shape, or an undefined one.
//
// Throws DataError, one line that begins with the file, with all tensors that are missing, left over, of another shape
// (the first few by name) or not finite.
using Adapt =
    std::function<torch::Tensor(const std::string& name, const torch::Tensor& theirs, torch::IntArrayRef ours)>;
void load_weights(torch::nn::Module& module, const std::filesystem::path& file, const std::vector<Rename>& renames,
                  const Adapt& adapt = {});

}  // namespace nmlbench::plugins
