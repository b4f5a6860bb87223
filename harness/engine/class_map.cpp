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

}  // namespace nmlbench
