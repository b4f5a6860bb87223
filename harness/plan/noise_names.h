// How results call a list of noise models: Checkpoint::noise_name() and noise_ratio(), and the same of a task.
#pragma once

#include "plan/plan.h"

#include <string>
#include <vector>

namespace nmlbench {

// "symmetric(include_self=true,mode=bernoulli)": a plugin with the parameters that the user chose, but for its noise
// ratio, after what `chosen` already says.
std::string variant(const ResolvedPlugin& plugin, std::vector<std::string> chosen = {});

std::string name_of_noise(const std::vector<NoiseStep>& noise);
double ratio_of_noise(const std::vector<NoiseStep>& noise);
// Each list of `before` with each of `steps` behind it, the steps changing fastest.
std::vector<std::vector<NoiseStep>> noise_product(const std::vector<std::vector<NoiseStep>>& before,
                                                  const std::vector<NoiseStep>& steps);
// Whether each model is `clean` or has the ratio 0.
bool changes_nothing(const std::vector<NoiseStep>& noise);

}  // namespace nmlbench
