// How many rows cells train on, before anything is trained.
#pragma once

#include "plan/plan.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

namespace nmlbench {

class Isolation;

// Exact, from the labels of training splits, which are read where a fraction or a held-out part leaves rows out; noise
// that drops rows is not counted. Of datasets that are not bundled the labels are not asked for.
class RowCounts {
 public:
  RowCounts(const Plan& plan, const Isolation* isolation) : plan_(plan), isolation_(isolation) {}

  // `part`: held out; none: all that the cell's fraction keeps.
  std::int64_t of(const Cell& cell, std::optional<std::int64_t> part);
  bool exact() const { return exact_; }

 private:
  std::int64_t count(std::size_t split, double fraction, std::optional<std::int64_t> part);
  const std::vector<std::int64_t>& class_sizes(std::size_t split);

  const Plan& plan_;
  const Isolation* isolation_;
  std::map<std::tuple<std::size_t, double, std::int64_t>, std::int64_t> known_;
  std::map<std::size_t, std::vector<std::int64_t>> sizes_;
  bool exact_ = true;
};

}  // namespace nmlbench
