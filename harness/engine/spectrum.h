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

// Minus the least-squares slope of log eigenvalue (a squared singular value) on log rank, over ranks 11 to 500
// (Stringer et al., Nature 571, 2019) as far as there are eigenvalues above rounding; NaN where these are fewer than
// ten.
double spectrum_exponent(const torch::Tensor& singular_values);

// features [N, D] as spectra are of them: float64, CPU, rows L2-normalised, then centred by the mean row, or each row
// by its own mean.
torch::Tensor centred_unit_rows(const torch::Tensor& features, bool center_rows);

// What is said of an encoder's features of a test set (docs/PROTOCOL.md, "Feature-space analysis").
struct Diagnostics {
  Spectrum spectrum;
  double alpha = 0;           // spectrum_exponent()
  double effective_rank = 0;  // exp(SVE) (Roy & Vetterli, EUSIPCO 2007); 0 where all rows are equal
  // Of each feature over the rows, as the encoder gave it; means over the features that vary. NaN where none does.
  double skewness = 0, kurtosis = 0;  // of kurtosis the excess over the normal distribution's 3
};
Diagnostics diagnose(const torch::Tensor& features, bool center_rows);

// The singular values of centred_unit_rows() and what they say. Throws Error when they are not finite.
Spectrum feature_spectrum(const torch::Tensor& features, bool center_rows);

}  // namespace nmlbench
