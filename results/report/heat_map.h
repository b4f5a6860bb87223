// Matrices over classes, as small as a heat map can show them. Internal to results/report.
#pragma once

#include "results/report/axes.h"

#include <cstddef>
#include <vector>

namespace nmlbench {

using ClassMatrix = std::vector<std::vector<double>>;  // square

// Sums over blocks of `block` x `block` neighbouring classes; the last block may have fewer.
ClassMatrix coarsened(const ClassMatrix& matrix, std::size_t block);
// Each row divided by its sum; a row of zeros stays.
Json row_shares(const ClassMatrix& matrix);

}  // namespace nmlbench
