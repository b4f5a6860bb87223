// What every board says of itself, beside its rows.
#pragma once

#include "records/metrics.h"
#include "results/boards/inference.h"

#include <string>
#include <vector>

namespace nmlbench {

struct BoardFacts {
  std::string metric;
  Better better = Better::neither;
  std::string kind;      // "id", "ood"; "" for both
  std::string baseline;  // "" without one
  std::vector<std::string> group_by;
  std::vector<std::string> matrices;  // that contributed, sorted
  Inference inference;
  // Sentences; "" where there is nothing to say (measurement_facts.h, best_setting.h, query/oracle.h). `superseded`:
  // how the cells that are here differ from the newest plans, either way.
  std::string seeds_vary, spectra, superseded, chosen_on_test, unmeasured;
};

}  // namespace nmlbench
