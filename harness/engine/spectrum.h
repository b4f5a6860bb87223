// The singular value spectrum of features (PAPER.md, "Feature-space analysis").
#pragma once

#include "config/matrix_spec.h"

#include <nmlbench/random.h>
#include <nmlbench/torch.h>

namespace nmlbench {

struct Spectrum {
  torch::Tensor values;  // float64 [min(N, D)], descending
  double sve = 0;        // singular value entropy, - sum p_i log p_i with p = values / sum
  double lsvr = 0;       // largest singular value ratio, - log p_1
};

// The rows of a test set of `size` samples that enter a spectrum: all, or a seeded subset of `max_rows`, ascending.
// int64 [min(size, max_rows)]. SVE compares only at equal sample counts.
torch::Tensor spectrum_rows(std::int64_t size, std::int64_t max_rows);

// features [N, D]: rows L2-normalised, centred (by the mean row, or each row by its own mean), singular values in
// float64. Throws Error when they are not finite.
Spectrum feature_spectrum(const torch::Tensor& features, bool center_rows);

}  // namespace nmlbench
