// How much of an accuracy is owed to which samples a test set happens to have. Every tuner and seed is measured on the
// same ones, so that no interval over seeds or tasks tells. docs/STATISTICS.md, "Test samples". Internal to results/.
#pragma once

#include "results/query/observations.h"
#include "results/store/store.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace nmlbench {

class TestSampling {
 public:
  // Reads how many samples test sets have: of one cell of each task.
  explicit TestSampling(const Store& store);

  // Half of the 95 % interval of the mean accuracy over the tasks and test sets of these rows, other samples being
  // drawn for each test set, at most: as if all seeds were right on the same samples. Empty where a size is not known.
  std::optional<double> half_width(const Observations& data, const std::vector<Observation>& rows,
                                   std::string_view kind) const;

 private:
  struct Size {
    double samples = 0.0;
    std::string key;  // equal for the same samples
  };
  std::map<std::tuple<std::string, std::string, std::string>, Size> sizes_;  // by task, task_params, test set
};

}  // namespace nmlbench
