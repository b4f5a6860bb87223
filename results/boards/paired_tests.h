// Whether two methods measured on the same things differ, and by chance or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace nmlbench {

enum class PairedTest : std::uint8_t { student_t, wilcoxon, sign_flip };

// Two-sided p value of "the differences have mean 0" (Student's t) or "are symmetric about 0" (Wilcoxon, sign flips).
// Empty for fewer than two differences.
std::optional<double> paired_test(std::span<const double> differences, PairedTest test);

// Student's paired t test, n - 1 degrees of freedom. Equal differences have no variance: p is 1 when they are zero,
// else 0. Needs two differences.
double paired_t_test(std::span<const double> differences);

// Wilcoxon's signed-rank test. Zeros are dropped, ties get mean ranks; up to 50 differences by the exact distribution
// (also with ties), beyond by the normal approximation with tie correction. Magnitudes that agree to 1e-12 are ties.
double wilcoxon_signed_rank_test(std::span<const double> differences);

// Randomisation test (Fisher 1935): the share of sign patterns of the differences whose mean is as far from 0 as
// theirs. Exact up to 40 differences; beyond, of 100,000 patterns drawn with a fixed seed, theirs among them.
double sign_flip_test(std::span<const double> differences);

// No p value of n differences is below it: 2^(1 - n) for Wilcoxon and sign flips, 0 for Student's t.
double smallest_p(PairedTest test, std::size_t n);

// Holm's (1979) step-down correction: adjusted p values in the order given; the family-wise error rate holds.
std::vector<double> holm(std::span<const double> p_values);

}  // namespace nmlbench
