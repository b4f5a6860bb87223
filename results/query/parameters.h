// Parameters as columns: "tuner.lr" is the value of lr in the cells' column of tuner parameters. Internal to results/.
#pragma once

#include "results/query/observations.h"

#include <string>
#include <vector>

namespace nmlbench {

// Whether a name is that of a parameter: of tuner, encoder, pretrain (the pre-training data), optim (the recipe) or
// task. No column has a dot in its name.
bool names_parameter(const std::string& name);

// Makes a column of a parameter, once. Cells that do not have it are unknown in it. Throws Error naming the parameters
// that there are.
Field add_parameter(Observations& data, const std::string& name);

// A column of what else stands in the objects that some parameters, columns of `data` by now, were taken from.
Field add_remainder(Observations& data, Field objects, const std::vector<std::string>& without);

}  // namespace nmlbench
