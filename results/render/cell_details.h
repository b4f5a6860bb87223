// Everything that is known of one cell.
#pragma once

#include "results/store/store.h"

#include <string>

namespace nmlbench {

// The cell_id that begins with `prefix`. Throws Error: none does, or several do (which are named).
std::string find_cell(const Store& store, const std::string& prefix);

// One JSON object: identity, parameters, status and message, timings, metrics and per-class accuracy and confusion of
// each test set, loss curve, spectra, realised noise, stage speeds and provenance of the run. `id`: a whole cell_id.
std::string cell_json(const Store& store, const std::string& id);
// The same for people; long lists are shortened.
std::string cell_text(const Store& store, const std::string& id);

}  // namespace nmlbench
