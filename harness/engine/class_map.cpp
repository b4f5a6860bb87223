#include "engine/class_map.h"

#include <nmlbench/error.h>

#include <fmt/format.h>

namespace nmlbench {

torch::Tensor map_classes(const torch::Tensor& logits, const std::vector<std::vector<std::int64_t>>& groups) {
  if (groups.empty()) return logits;
  std::vector<torch::Tensor> mapped;
  for (const std::vector<std::int64_t>& group : groups) {
    for (const std::int64_t c : group) {
      if (c < 0 || c >= logits.size(1)) {
        throw Error(fmt::format("the test set maps to class {} of the training split, which has {} classes only", c,
                                logits.size(1)));
      }
    }
    mapped.push_back(logits.index_select(1, torch::tensor(group, torch::kInt64)).amax(1));
  }
  return torch::stack(mapped, 1);
}

torch::Tensor training_labels(const torch::Tensor& labels, const std::vector<std::int64_t>& classes, std::int64_t count,
                              const std::string& test_set) {
  const torch::Tensor mapped = classes.empty() ? labels : torch::tensor(classes, torch::kInt64).index_select(0, labels);
  const torch::Tensor bad = ((mapped < 0) | (mapped >= count)).nonzero();
  if (bad.size(0) == 0) return mapped;
  throw Error(fmt::format("test set \"{}\" has label {}, {}", test_set, labels[bad[0][0]].item<std::int64_t>(),
                          classes.empty() ? fmt::format("and the training split has {} classes only", count)
                                          : "and no class of the training split has that number for its name"));
}

}  // namespace nmlbench
