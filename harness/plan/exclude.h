// [[exclude]]: which cells of the product are left out.
#pragma once

#include "plan/plan.h"
#include "records/records.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace nmlbench {

class Excluder {
 public:
  explicit Excluder(const std::vector<ExcludeSpec>& excludes);

  // Whether every column of one of them has one of the values asked for; numbers are equal up to rounding. Throws
  // ConfigError for a value of the wrong type.
  bool excludes(const Plan& plan, const Cell& cell);

  // After all cells were asked for. Throws ConfigError for a value that no cell has, and for an [[exclude]] that
  // excludes none.
  void require_use() const;

 private:
  void note_names(const ExcludeSpec& exclude, const CellRecord& record, const std::string& models);

  const std::vector<ExcludeSpec>& excludes_;
  std::vector<bool> used_;
  std::map<const std::vector<Value>*, std::vector<bool>> met_;  // of each value of a column
  std::map<std::string, std::set<std::string>> there_;          // texts that cells have in a column
};

}  // namespace nmlbench
