// Cells with predictions.
#pragma once

#include "records/records.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench::testing {

// Adds what the head answered on a test set, the accuracy that it makes, and the confusion matrix. The probability of
// the true class is 0.8 where it is right, else 0.2.
inline CellRecord with_answers(CellRecord cell, const std::string& test_set, const std::string& kind,
                               const std::vector<std::int64_t>& labels, const std::vector<std::int64_t>& predicted,
                               std::int64_t classes) {
  PredictionRow row;
  row.test_set = test_set;
  row.samples_digest = cell.task + "/" + test_set;
  row.samples = static_cast<std::int64_t>(labels.size());
  row.classes = classes;
  row.labels = std::make_shared<const Bytes>(pack_labels(labels, classes));
  std::vector<double> p_true;
  double right = 0.0;
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> counts;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const bool hit = labels[i] == predicted[i];
    right += hit ? 1.0 : 0.0;
    p_true.push_back(hit ? 0.8 : 0.2);
    ++counts[{labels[i], predicted[i]}];
  }
  row.packed = pack_predictions(labels, predicted, p_true, classes);
  cell.predictions.push_back(std::move(row));
  cell.metrics.push_back({test_set, kind, "accuracy", right / static_cast<double>(labels.size())});
  ConfusionRow confusion{test_set, classes, {}};
  for (const auto& [pair, count] : counts) confusion.counts.push_back({pair.first, pair.second, count});
  cell.confusion.push_back(std::move(confusion));
  return cell;
}

}  // namespace nmlbench::testing
