// Whether two methods measured on the same things differ, and by chance or not.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace nmlbench {

enum class PairedTest : std::uint8_t { student_t, wilcoxon };

// Two-sided p value of "the differences have mean 0" (Student's t) or "are symmetric about 0" (Wilcoxon). Empty for
// fewer than two differences.
std::optional<double> paired_test(std::span<const double> differences, PairedTest test);

// Student's paired t test, n - 1 degrees of freedom. Equal differences have no variance: p is 1 when they are zero,
// else 0. Needs two differences.
double paired_t_test(std::span<const double> differences);

// Wilcoxon's signed-rank test. Zeros are dropped, ties get mean ranks; up to 50 differences by the exact distribution
// (also with ties), beyond by the normal approximation with tie correction. Magnitudes that agree to 1e-12 are ties.
double wilcoxon_signed_rank_test(std::span<const double> differences);

// Holm's (1979) step-down correction: adjusted p values in the order given; the family-wise error rate holds.
std::vector<double> holm(std::span<const double> p_values);

}  // namespace nmlbench
