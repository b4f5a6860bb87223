// The whole plan as one JSON object, for provenance.
#pragma once

#include "plan/plan.h"

#include <nlohmann/json.hpp>

namespace nmlbench {

// The parameters that affect results, and the names of the files that others lead to.
nlohmann::json params_with_files(const ResolvedPlugin& plugin);

nlohmann::json canonical(const Plan& plan, const MatrixSpec& spec);

}  // namespace nmlbench
