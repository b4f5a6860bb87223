// The inner loops of Householder's tridiagonal reduction and of its way back.
#pragma once

#include <cstdint>

namespace nmlbench::plugins {

constexpr std::int64_t kBlock = 8;  // numbers in a vector

inline std::int64_t whole_blocks(std::int64_t count) {
  return count / kBlock * kBlock;
}

// Whether the machine's widest vectors are used; results differ by rounding. For tests.
extern bool use_wide_vectors;

// A reflector's update of a symmetric matrix and the next reflector's product, in one pass: a -= v w^T + w v^T, and of
// what that leaves, product = a next. Vectors are `stride` long, whole blocks, and zero where they have no entries. The
// matrix is kept as its upper triangle, with whole blocks on the diagonal.
struct Sweep {
  double* a;
  std::int64_t stride;
  const double *v, *w, *next;
  double* product;
};

// Rows from `first` on, columns from `corner` on, both whole blocks. Above row `corner` next has no entries.
void sweep_matrix(const Sweep& sweep, std::int64_t first, std::int64_t corner);

double dot(const double* a, const double* b, std::int64_t n);

// a += factor b.
void add(double* a, double factor, const double* b, std::int64_t n);

}  // namespace nmlbench::plugins
