// How results call the noise of a checkpoint: Checkpoint::noise_name() and what it is made of.
#pragma once

#include "plan/plan.h"

#include <string>
#include <vector>

namespace nmlbench {

// "symmetric(include_self=true,mode=bernoulli)": a plugin with the parameters that the user chose, but for its noise
// ratio, after what `chosen` already says.
std::string variant(const ResolvedPlugin& plugin, std::vector<std::string> chosen = {});

}  // namespace nmlbench
