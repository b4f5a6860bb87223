// Test sets whose classes are not the training split's own.
#pragma once

#include <nmlbench/torch.h>

#include <cstdint>
#include <string>
#include <vector>

namespace nmlbench {

// Logits [N, C] over the training split's classes -> [N, G], one for each group: the largest of its classes' logits
// (ObjectNet's rule; with groups of one class it is ImageNet-R's and -A's mask). No groups: the logits themselves.
// Throws Error when a group names a class >= C.
torch::Tensor map_classes(const torch::Tensor& logits, const std::vector<std::vector<std::int64_t>>& groups);

// Labels [N] of a test set -> those of the training split, which has `count` classes. `classes`: the training class of
// each, -1 for none (ClassMatch); empty: the same. Throws Error when a label has no training class.
torch::Tensor training_labels(const torch::Tensor& labels, const std::vector<std::int64_t>& classes, std::int64_t count,
                              const std::string& test_set);

}  // namespace nmlbench
