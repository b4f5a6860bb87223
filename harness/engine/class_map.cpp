#include "engine/class_map.h"

#include <nmlbench/dense.h>
#include <nmlbench/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

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

torch::Tensor best_right_class(const torch::Tensor& logits, const torch::Tensor& labels,
                               const std::vector<std::vector<std::int64_t>>& right_classes) {
  if (right_classes.empty()) return logits;
  torch::Tensor swapped = logits.to(torch::kCPU).contiguous().clone();
  const std::int64_t classes = swapped.size(1);
  auto* row = dense_data<float>(swapped);
  const auto* label = dense_data<std::int64_t>(labels);
  for (std::size_t i = 0; i < right_classes.size(); ++i, row += classes) {
    std::int64_t best = right_classes[i].front();
    for (const std::int64_t c : right_classes[i]) {
      if (c < 0 || c >= classes) {
        throw Error(fmt::format("sample {} of the test set counts class {} as right, and there are {}", i, c, classes));
      }
      // of equal logits the lower class is the prediction
      if (row[c] > row[best] || (row[c] == row[best] && c < best)) best = c;
    }
    const auto predicts = [&](std::int64_t c) { return std::max_element(row, row + classes) - row == c; };
    const bool is_right = predicts(best);
    float& answer = row[label[i]];
    std::swap(answer, row[best]);
    // ... which its new place must not change
    constexpr float kMost = std::numeric_limits<float>::infinity();
    if (predicts(label[i]) != is_right) answer = std::nextafter(answer, is_right ? kMost : -kMost);
  }
  return swapped;
}

torch::Tensor first_rows(const std::vector<std::int64_t>& sets, std::int64_t rows) {
  if (sets.empty()) return torch::arange(rows);
  std::vector<std::int64_t> first;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (i == 0 || sets[i] != sets[i - 1]) first.push_back(static_cast<std::int64_t>(i));
  }
  return torch::tensor(first, torch::kInt64);
}

torch::Tensor worst_rows(const torch::Tensor& logits, const torch::Tensor& labels,
                         const std::vector<std::int64_t>& sets) {
  if (sets.empty()) return torch::arange(labels.size(0));
  const torch::Tensor label = labels.view({-1, 1}), x = logits.to(torch::kFloat64);
  const torch::Tensor own = x.gather(1, label).view(-1), is_right = x.argmax(1) == labels;
  const torch::Tensor others = std::get<0>(x.scatter(1, label, -std::numeric_limits<double>::infinity()).max(1));
  const torch::Tensor lead = own - others;
  std::vector<std::int64_t> worst;
  for (std::int64_t i = 0; i < labels.size(0); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (i == 0 || sets[at] != sets[at - 1]) worst.push_back(i);
    const auto badness = [&](std::int64_t j) {
      return std::pair(dense_data<bool>(is_right)[j], dense_data<double>(lead)[j]);
    };
    if (badness(i) < badness(worst.back())) worst.back() = i;
  }
  return torch::tensor(worst, torch::kInt64);
}

}  // namespace nmlbench
