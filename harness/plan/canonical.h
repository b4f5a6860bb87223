// The whole plan as one JSON object, for provenance.
#pragma once

#include "plan/plan.h"

#include <nlohmann/json.hpp>

namespace nmlbench {

nlohmann::json canonical(const Plan& plan, const MatrixSpec& spec);

}  // namespace nmlbench
