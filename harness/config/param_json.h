// Values of declared parameters as JSON.
#pragma once

#include <nmlbench/params.h>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench {

// Whole numbers print without a point, so that 1 and 1.0 are one identity.
nlohmann::json param_json(const ParamValue& value);

}  // namespace nmlbench
