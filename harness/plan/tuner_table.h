// [[tuner]] and [selection]: the tuners of a plan, and which of them are candidates of one grid.
#pragma once

#include "plan/plan.h"

#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

// What cells have as their tuner: one, or the one that will be chosen from a grid.
struct Method {
  std::size_t tuner = 0;            // Plan::tuners; of a grid the first
  std::optional<std::size_t> grid;  // Plan::grids
};

class TunerTable {
 public:
  TunerTable(const MatrixSpec& spec, const Catalog& catalog, Plan& plan)
      : spec_(spec), catalog_(catalog), plan_(plan) {}

  // Fills Plan::selection, tuners and grids. Throws ConfigError: what Catalog::expand throws, a method that is there
  // twice, a [selection] that speaks of no tuner's parameter or that has nothing to choose from.
  void fill();

  const std::vector<Method>& methods() const { return methods_; }

 private:
  void add(const Location& where, std::vector<ResolvedPlugin> candidates);
  void require_use() const;

  const MatrixSpec& spec_;
  const Catalog& catalog_;
  Plan& plan_;
  std::vector<Method> methods_;
};

// What of a cell's identity its tuner is: of a grid all candidates and the rule by which one is chosen.
std::string tuner_identity(const Plan& plan, const Method& method);

}  // namespace nmlbench
