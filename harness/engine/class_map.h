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

// For samples with several right answers (SplitInfo::right_classes; none: the logits themselves): logits [N, C] in
// which the right class with the largest logit and the label's class have changed places, so that the label is
// predicted where any right class was, with the probability that the right class had. Throws Error for a class >= C.
torch::Tensor best_right_class(const torch::Tensor& logits, const torch::Tensor& labels,
                               const std::vector<std::vector<std::int64_t>>& right_classes);

// The first row of each set (SplitInfo::sets), int64 [S]; all rows when there are no sets.
torch::Tensor first_rows(const std::vector<std::int64_t>& sets, std::int64_t rows);

// The row that each set is scored by, int64 [S]: a wrongly predicted one if there is any, and of those, or of all, the
// one whose label is least ahead of the other classes. All rows when there are no sets.
torch::Tensor worst_rows(const torch::Tensor& logits, const torch::Tensor& labels,
                         const std::vector<std::int64_t>& sets);

}  // namespace nmlbench
