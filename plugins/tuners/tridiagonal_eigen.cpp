// Largest eigenvalues by bisection, their vectors by inverse iteration.
#include "flush_denormals.h"
#include "symmetric_sweep.h"
#include "tridiagonal.h"
#include "vectors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace nmlbench::plugins {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

constexpr int kSections = 16;

// For each of 16 points: how many eigenvalues of T lie below it (Sturm). beside2: the squares of T's off-diagonal.
NMLBENCH_VECTOR_CLONES
void count_below(const double* diagonal, const double* beside2, std::int64_t n, const double* points,
                 std::int64_t* below) {
  constexpr double kTiny = 1e-290;
  double pivot[kSections];
  std::int64_t count[kSections];
#pragma omp simd
  for (int s = 0; s < kSections; ++s) {
    pivot[s] = diagonal[0] - points[s];
    count[s] = pivot[s] < 0 ? 1 : 0;
  }
  for (std::int64_t i = 1; i < n; ++i) {
    const double d = diagonal[i], e2 = beside2[i - 1];
#pragma omp simd
    for (int s = 0; s < kSections; ++s) {
      const double safe = std::abs(pivot[s]) < kTiny ? -kTiny : pivot[s];
      pivot[s] = d - points[s] - e2 / safe;
      count[s] += pivot[s] < 0 ? 1 : 0;
    }
  }
  std::copy_n(count, kSections, below);
}

// LU factors of a tridiagonal matrix with row exchanges, as LAPACK's dgttrf.
class TridiagonalSolver {
 public:
  TridiagonalSolver(const AlignedDoubles& diagonal, const AlignedDoubles& beside, double shift, double smallest_pivot)
      : lower_(beside), middle_(diagonal), upper_(beside), second_(beside.size(), 0.0), exchanged_(beside.size(), 0) {
    for (double& d : middle_) d -= shift;
    for (std::size_t i = 0; i + 1 < middle_.size(); ++i) eliminate(i);
    for (double& d : middle_) {
      if (std::abs(d) < smallest_pivot) d = std::copysign(smallest_pivot, d);
    }
  }

  void solve(double* x) const {
    const std::size_t n = middle_.size();
    for (std::size_t i = 0; i + 1 < n; ++i) {
      if (exchanged_[i] != 0) std::swap(x[i], x[i + 1]);
      x[i + 1] -= lower_[i] * x[i];
    }
    for (std::size_t i = n; i-- > 0;) {
      if (i + 1 < n) x[i] -= upper_[i] * x[i + 1];
      if (i + 2 < n) x[i] -= second_[i] * x[i + 2];
      x[i] /= middle_[i];
    }
  }

 private:
  void eliminate(std::size_t i) {
    if (std::abs(middle_[i]) >= std::abs(lower_[i])) {
      lower_[i] = middle_[i] == 0 ? 0 : lower_[i] / middle_[i];
      middle_[i + 1] -= lower_[i] * upper_[i];
      return;
    }
    exchanged_[i] = 1;
    const double factor = middle_[i] / lower_[i], beneath = middle_[i + 1];
    middle_[i] = lower_[i];
    lower_[i] = factor;
    middle_[i + 1] = upper_[i] - factor * beneath;
    upper_[i] = beneath;
    if (i + 1 < upper_.size()) {
      second_[i] = upper_[i + 1];
      upper_[i + 1] *= -factor;
    }
  }

  AlignedDoubles lower_, middle_, upper_, second_;
  std::vector<char> exchanged_;
};

}  // namespace

// No eigenvalue lies above it (Gershgorin).
double TridiagonalForm::bound() const {
  double bound = 0;
  for (std::size_t i = 0; i < diagonal_.size(); ++i) {
    const double before = i > 0 ? std::abs(beside_[i - 1]) : 0;
    const double after = i < beside_.size() ? std::abs(beside_[i]) : 0;
    bound = std::max(bound, diagonal_[i] + before + after);
  }
  return bound;
}

// The `rank`-th largest eigenvalue, 0 the largest, which lies in [0, bound].
double TridiagonalForm::bisect(std::int64_t rank, double bound) const {
  AlignedDoubles beside2(beside_.size());
  std::transform(beside_.begin(), beside_.end(), beside2.begin(), [](double e) { return e * e; });
  double low = -4 * kEpsilon * bound, high = bound;
  while (high - low > 4 * kEpsilon * bound) {
    double points[kSections];
    std::int64_t below[kSections];
    const double width = (high - low) / (kSections + 1);
    for (int s = 0; s < kSections; ++s) points[s] = low + (s + 1) * width;
    count_below(diagonal_.data(), beside2.data(), n_, points, below);
    int s = 0;  // the first point that lies above
    while (s < kSections && below[s] < n_ - rank) ++s;
    if (s > 0) low = points[s - 1];
    if (s < kSections) high = points[s];
  }
  return std::max(0.0, 0.5 * (low + high));
}

// Writes row `found` of `vectors` [.., stride], orthogonal to the rows before it.
void TridiagonalForm::inverse_iteration(double value, double smallest_pivot, std::int64_t found,
                                        AlignedDoubles& vectors) const {
  const TridiagonalSolver solver(diagonal_, beside_, value, smallest_pivot);
  double* x = vectors.data() + found * stride_;
  std::mt19937 draw(static_cast<std::uint32_t>(found));  // some start of its own, so that equal values get a basis
  for (std::int64_t i = 0; i < n_; ++i) x[i] = 0.5 + static_cast<double>(draw()) / 4294967296.0;
  for (int iteration = 0; iteration < 3; ++iteration) {
    solver.solve(x);
    for (int twice = 0; twice < 2; ++twice) {  // once leaves what rounding brings back
      for (std::int64_t other = 0; other < found; ++other) {
        const double* y = vectors.data() + other * stride_;
        add(x, -dot(x, y, n_), y, n_);
      }
      const double norm = std::sqrt(dot(x, x, n_));
      for (std::int64_t i = 0; i < n_; ++i) x[i] /= norm;
    }
  }
}

void TridiagonalForm::largest(std::int64_t count, double* values, double* vectors) const {
  const FlushDenormals flush;
  const double most = bound();
  AlignedDoubles found(static_cast<std::size_t>(count * stride_));
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = bisect(i, most);
    values[i] = value / (root_scale_ * root_scale_);
    if (most > 0) {
      inverse_iteration(value, kEpsilon * most, i, found);
    } else {
      found[static_cast<std::size_t>(i * stride_ + i)] = 1;
    }
  }
  back_transform(count, found);
  for (std::int64_t i = 0; i < count; ++i) std::copy_n(found.data() + i * stride_, n_, vectors + i * n_);
}

}  // namespace nmlbench::plugins
