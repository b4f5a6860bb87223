#include "tridiagonal.h"

#include "../vectors.h"
#include "symmetric_sweep.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <boost/math/special_functions/ellint_1.hpp>
#include <boost/math/special_functions/jacobi_elliptic.hpp>

namespace nmlbench::plugins {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kNothing = 1e-140;  // beside numbers around 1; its square and that one's reciprocal are numbers

// Numbers too small for the normal format are zero here, and would be many times slower to compute with.
class FlushDenormals {
 public:
#ifdef NMLBENCH_X86
  FlushDenormals() {
    _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero);
  }
  ~FlushDenormals() {
    _mm_setcsr(before_);
  }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  unsigned before_ = _mm_getcsr();
#else
  FlushDenormals() {}  // unused elsewhere
#endif
};

NMLBENCH_VECTOR_CLONES
double dot(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

NMLBENCH_VECTOR_CLONES
void add(double* a, double factor, const double* b, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) a[i] += factor * b[i];
}

// H A H = A - v w^T - w v^T, from product = A v.
void rank_two_of(const double* v, double beta, const AlignedDoubles& product, AlignedDoubles& w) {
  const auto n = static_cast<std::int64_t>(w.size());
  const double half = 0.5 * beta * beta * dot(product.data(), v, n);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    w[at] = beta * product[at] - half * v[i];
  }
}

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

// x^{-1/2} as the sum over poles of weight / (x + shift), to 1e-9 on [kSmallest, 1]: a nearly best rational
// approximation, by the midpoint rule in elliptic co-ordinates (Hale, Higham & Trefethen 2008, method 3). And the same
// times x / (x + kFade), which has one pole more.
struct Poles {
  static constexpr int kOfRoot = 31, kAll = kOfRoot + 1;
  static constexpr double kSmallest = 1e-11, kFade = 1e-12;
  double shift[kAll] = {}, weight[kAll] = {}, faded[kAll] = {};

  Poles() {
    const double modulus = std::sqrt(1 - kSmallest), quarter = boost::math::ellint_1(modulus);
    shift[kOfRoot] = kFade;
    for (int j = 0; j < kOfRoot; ++j) {
      double cn = 0, dn = 0;
      const double sn = boost::math::jacobi_elliptic(modulus, (j + 0.5) * quarter / kOfRoot, &cn, &dn);
      shift[j] = kSmallest * (sn / cn) * (sn / cn);
      weight[j] = 2 * quarter * std::sqrt(kSmallest) / (M_PI * kOfRoot) * dn / (cn * cn);
      faded[j] = weight[j] * shift[j] / (shift[j] - kFade);  // partial fractions
      faded[kOfRoot] -= weight[j] * kFade / (shift[j] - kFade);
    }
  }
};

// Row i of the sum over poles of faded_p (T + shift_p)^{-1}, from row i + 1 of each pole's inverse.
NMLBENCH_VECTOR_CLONES
void add_inverse_row(double* rows, std::int64_t stride, std::int64_t from, std::int64_t to, const double* ratio,
                     double* sum) {
  static_assert(Poles::kAll % 4 == 0);
  for (int p = 0; p < Poles::kAll; p += 4) {
    double *r0 = rows + p * stride, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
    const double f0 = ratio[p], f1 = ratio[p + 1], f2 = ratio[p + 2], f3 = ratio[p + 3];
#pragma omp simd
    for (std::int64_t j = from; j < to; ++j) {
      const double x0 = r0[j] * f0, x1 = r1[j] * f1, x2 = r2[j] * f2, x3 = r3[j] * f3;
      r0[j] = x0, r1[j] = x1, r2[j] = x2, r3[j] = x3;
      sum[j] += (x0 + x1) + (x2 + x3);
    }
  }
}

}  // namespace

TridiagonalForm::TridiagonalForm(const double* k, std::int64_t n)
    : n_(n),
      stride_(whole_blocks(n + kBlock - 1)),
      reflectors_(static_cast<std::size_t>(n * stride_)),
      beta_(static_cast<std::size_t>(n)),
      diagonal_(static_cast<std::size_t>(n)),
      beside_(static_cast<std::size_t>(n - 1)) {
  const FlushDenormals flush;
  double largest = 0;  // of K: its diagonal has it
  for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, k[i * (n + 1)]);
  if (largest > 0) root_scale_ = std::ldexp(1.0, -std::ilogb(largest) / 2);  // a power of two: nothing is rounded
  AlignedDoubles a(static_cast<std::size_t>(stride_ * stride_));
  for (std::int64_t i = 0; i < n; ++i) add(a.data() + i * stride_, root_scale_ * root_scale_, k + i * n, n);
  reduce(a);
}

// Householder's reduction, from the first row on.
void TridiagonalForm::reduce(AlignedDoubles& a) {
  const auto length = static_cast<std::size_t>(stride_);
  const AlignedDoubles none(length);
  AlignedDoubles w(length), product(length);
  const double* v = none.data();
  for (std::int64_t k = 0; k < n_; ++k) {
    const auto at = static_cast<std::size_t>(k);
    double* line = a.data() + k * stride_;
    add(line, -v[k], w.data(), stride_);  // the update that the rows below get in the next sweep
    add(line, -w[at], v, stride_);
    diagonal_[at] = line[k];
    if (k + 1 == n_) break;
    double* x = row(k);
    std::copy(line + k + 1, line + stride_, x + k + 1);
    beside_[at] = x[k + 1];
    const double norm = std::sqrt(dot(x, x, stride_)), first = std::abs(x[k + 1]);
    if (k + 2 < n_ && norm > kNothing) {
      beside_[at] = -std::copysign(norm, x[k + 1]);
      beta_[at] = 1 / (norm * (norm + first));
      x[k + 1] += std::copysign(norm, x[k + 1]);
    }
    const std::int64_t corner = whole_blocks(k + 1);
    sweep_matrix({a.data(), stride_, v, w.data(), x, product.data()}, corner, corner);
    std::fill_n(product.data(), k + 1, 0.0);
    rank_two_of(x, beta_[at], product, w);
    v = x;
  }
}

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

// Q = H_0 H_1 ... times each row of `vectors`.
void TridiagonalForm::back_transform(std::int64_t count, AlignedDoubles& vectors) const {
  for (std::int64_t k = n_ - 3; k >= 0; --k) {
    for (std::int64_t i = 0; i < count; ++i) {
      double* x = vectors.data() + i * stride_;
      add(x, -beta_[static_cast<std::size_t>(k)] * dot(row(k), x, stride_), row(k), stride_);
    }
  }
}

double TridiagonalForm::inverse_root(double largest, double* root) const {
  std::fill_n(root, n_ * n_, 0.0);
  if (!(largest > 0)) return 0;
  const FlushDenormals flush;
  AlignedDoubles matrix(static_cast<std::size_t>(stride_ * stride_));
  const double sum = inverse_root_of_form(largest * root_scale_ * root_scale_, matrix);
  back_transform_both_sides(matrix);
  for (std::int64_t i = 0; i < n_; ++i) {
    for (std::int64_t j = i; j < n_; ++j) {
      root[i * n_ + j] = root[j * n_ + i] = root_scale_ * matrix[static_cast<std::size_t>(i * stride_ + j)];
    }
  }
  return sum / root_scale_;
}

// Of T, the upper triangle. Each pole's inverse goes by T + shift = L D L^T: its row i, right of the diagonal, is row
// i + 1 times -l_i.
double TridiagonalForm::inverse_root_of_form(double largest, AlignedDoubles& upper) const {
  static const Poles poles;
  constexpr auto kAll = static_cast<std::size_t>(Poles::kAll);
  const auto n = static_cast<std::size_t>(n_), stride = static_cast<std::size_t>(stride_);
  const double scale = std::sqrt(largest);
  AlignedDoubles reciprocal(n * kAll), ratio(n * kAll);  // 1 / d_i and -l_i of each pole
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t p = 0; p < kAll; ++p) {
      const double above = i > 0 ? beside_[i - 1] * ratio[(i - 1) * kAll + p] : 0;
      reciprocal[i * kAll + p] = 1 / (diagonal_[i] + poles.shift[p] * largest + above);
      ratio[i * kAll + p] = i + 1 < n ? -beside_[i] * reciprocal[i * kAll + p] : 0;
    }
  }
  double sum = 0;  // weight times trace T (T + shift)^{-1} = trace (1 - shift (T + shift)^{-1})
  AlignedDoubles rows(kAll * stride), corner(kAll);
  for (std::size_t i = n; i-- > 0;) {
    double* out = upper.data() + i * stride;
    const double *r = ratio.data() + i * kAll, *d = reciprocal.data() + i * kAll;
    add_inverse_row(rows.data(), stride_, static_cast<std::int64_t>(i) + 1, n_, r, out);
    for (std::size_t p = 0; p < kAll; ++p) {
      corner[p] = d[p] + r[p] * r[p] * corner[p];
      sum += poles.weight[p] * (1 - poles.shift[p] * largest * corner[p]);
      rows[p * stride + i] = scale * poles.faded[p] * corner[p];
      out[i] += rows[p * stride + i];
    }
  }
  return scale * sum;
}

// Q A Q^T, of a symmetric A of which the upper triangle is given and returned.
void TridiagonalForm::back_transform_both_sides(AlignedDoubles& a) const {
  const auto length = static_cast<std::size_t>(stride_);
  const AlignedDoubles none(length);
  AlignedDoubles w(length), product(length);
  for (std::int64_t r = 0; r < n_; ++r) {  // the blocks on the diagonal are whole
    for (std::int64_t c = whole_blocks(r); c < r; ++c) {
      a[static_cast<std::size_t>(r * stride_ + c)] = a[static_cast<std::size_t>(c * stride_ + r)];
    }
  }
  const double* v = none.data();
  for (std::int64_t k = n_ - 3; k >= -1; --k) {  // applies reflector k + 1 and multiplies by reflector k
    const double* next = k >= 0 ? row(k) : none.data();
    sweep_matrix({a.data(), stride_, v, w.data(), next, product.data()}, 0, whole_blocks(k + 1));
    if (k < 0) break;
    rank_two_of(next, beta_[static_cast<std::size_t>(k)], product, w);
    v = next;
  }
}

}  // namespace nmlbench::plugins
