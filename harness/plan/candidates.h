// A tuner with candidates: what of a [[tuner]] section is a grid, and what an axis.
#pragma once

#include "plan/catalog.h"

#include <string>
#include <vector>

namespace nmlbench {

// One for each point of the section's axes: its candidates, the product of the lists that are given for parameters in
// `over`, each list as it is written, parameters by name, the last one fastest. One candidate: there is nothing to
// choose. Throws ConfigError as Catalog::expand does. A preset may be a candidate, though no axis.
std::vector<std::vector<ResolvedPlugin>> expand_candidates(const Catalog& catalog, const PluginRef& ref,
                                                           const std::vector<std::string>& over);

// Canonical JSON of the parameters of a grid: those that candidates differ in are lists of their values.
std::string grid_params(const std::vector<ResolvedPlugin>& candidates);

// Of one candidate those parameters alone, with its values.
std::string own_params(const ResolvedPlugin& candidate, const std::string& grid_params);

// Throws ConfigError at `where`, unless each name in `over` is a parameter of one of the tuners.
void require_parameters(const std::vector<std::string>& over, const std::vector<ResolvedPlugin>& tuners,
                        const Location& where);

}  // namespace nmlbench
