#include "engine/overlap.h"

#include "cache/feature_store.h"

#include <nmlbench/dense.h>

#include <string_view>
#include <unordered_set>

#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

std::string_view bytes_of_row(const torch::Tensor& x, std::int64_t row) {
  return {reinterpret_cast<const char*>(dense_data<float>(x) + row * x.size(1)),
          static_cast<std::size_t>(x.size(1)) * sizeof(float)};
}

}  // namespace

// The test rows are the fewer: they are the ones to be kept, and training rows are read once.
std::int64_t rows_in_both(const torch::Tensor& train, const torch::Tensor& test) {
  if (train.size(1) != test.size(1)) return 0;
  std::unordered_multiset<std::string_view> rows;
  for (std::int64_t i = 0; i < test.size(0); ++i) rows.insert(bytes_of_row(test, i));
  for (std::int64_t i = 0; i < train.size(0) && !rows.empty(); ++i) rows.erase(bytes_of_row(train, i));
  return test.size(0) - static_cast<std::int64_t>(rows.size());
}

void OverlapWarnings::look_at(const std::set<std::size_t>& cells) {
  for (const std::size_t index : cells) {
    const Cell& cell = plan_.cells[index];
    if (plan_.tuners[cell.tuner].moves_encoder()) continue;  // it has no features of its own
    for (std::size_t test = 0; test < cell.tests.size(); ++test) look_at(cell, test);
  }
}

void OverlapWarnings::look_at(const Cell& cell, std::size_t test) {
  const Task& task = plan_.tasks[cell.task];
  if (seen_.count({task.spec, test}) > 0) return;
  const auto trained = load_features(cache_, plan_.encodings[cell.train].id);
  const auto tested = load_features(cache_, plan_.encodings[cell.tests[test]].id);
  if (!trained || !tested) return;
  seen_.emplace(task.spec, test);
  const std::int64_t both = rows_in_both(trained->x, tested->x);
  if (both == 0) return;
  spdlog::warn(
      "task \"{}\": {} of the {} samples of test set \"{}\" have the features of a training sample: heads have seen "
      "them, or the encoder tells nothing apart; keep them out of one of the two",
      task.name, both, tested->x.size(0), task.tests[test].name);
}

}  // namespace nmlbench
