// AdamW (Loshchilov & Hutter 2019) on plain arrays: the part of a step that is bound by memory, not by arithmetic.
#pragma once

#include <cstdint>
#include <vector>

namespace nmlbench::kernels {

struct AdamWConstants {
  static constexpr float kBeta1 = 0.9F, kBeta2 = 0.999F, kEpsilon = 1e-8F;

  float keep;         // 1 - lr * weight_decay
  float size;         // lr / (1 - beta1^t)
  float inv_sqrt_c2;  // 1 / sqrt(1 - beta2^t)

  // Of step number `step`, from 1.
  static AdamWConstants of(std::int64_t step, float lr, float weight_decay);
};

// One step of n numbers: values p, gradients g, moments m and v. A number's step does not depend on where the range
// begins or ends.
void adamw_range(float* p, const float* g, float* m, float* v, std::int64_t n, const AdamWConstants& constants);

// The right factor [B, C] of gradients that are products: of a matrix [R, C] it is left^T right with left [B, R]. The
// gradient lives in registers only: written to memory and read back it would cost as much as the moments do.
class ProductOperand {
 public:
  ProductOperand(const float* right, std::int64_t batch, std::int64_t columns);

  // One step of rows first .. last - 1 of p, m, v [R, C]. [any-thread]
  void adamw(const float* left, std::int64_t rows, float* p, float* m, float* v, std::int64_t first, std::int64_t last,
             const AdamWConstants& constants) const;

 private:
  std::int64_t batch_, columns_;
  std::vector<float> right_;  // [ceil(C / tile), B, tile]: each tile of columns in one piece, zero padded
};

}  // namespace nmlbench::kernels
