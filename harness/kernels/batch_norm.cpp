#include "kernels/batch_norm.h"

#define HWY_TARGET_INCLUDE "kernels/batch_norm.cpp"
#include "kernels/dispatch.h"

#include <cstring>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nmlbench::kernels::HWY_NAMESPACE {

HWY_INLINE float widen(Bfloat16 bits) {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

HWY_INLINE Bfloat16 round(float value) {  // to nearest, ties to even
  std::uint32_t wide;
  std::memcpy(&wide, &value, sizeof wide);
  return static_cast<Bfloat16>((wide + 0x7FFF + ((wide >> 16) & 1)) >> 16);
}

void moments(const Bfloat16* HWY_RESTRICT x, std::int64_t rows, std::int64_t width, float* HWY_RESTRICT sum,
             float* HWY_RESTRICT squares) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < width; ++c) {
      const float value = widen(x[r * width + c]);
      sum[c] += value;
      squares[c] += value * value;
    }
  }
}

void apply(const Bfloat16* HWY_RESTRICT x, const Bfloat16* HWY_RESTRICT skip, std::int64_t rows, std::int64_t width,
           const float* HWY_RESTRICT scale, const float* HWY_RESTRICT shift, float floor, Bfloat16* HWY_RESTRICT y) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < width; ++c) {
      const std::int64_t i = r * width + c;
      float value = widen(x[i]) * scale[c] + shift[c];
      if (skip != nullptr) value += widen(skip[i]);
      y[i] = round(value < floor ? floor : value);  // a NaN stays one
    }
  }
}

void through_relu(const Bfloat16* HWY_RESTRICT dy, const Bfloat16* HWY_RESTRICT y, const Bfloat16* HWY_RESTRICT x,
                  std::int64_t rows, std::int64_t width, Bfloat16* HWY_RESTRICT g, float* HWY_RESTRICT sum,
                  float* HWY_RESTRICT along) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < width; ++c) {
      const std::int64_t i = r * width + c;
      const bool open = y == nullptr || static_cast<std::int16_t>(y[i]) > 0;  // positive as an integer: positive
      const Bfloat16 bits = open ? dy[i] : Bfloat16{0};
      if (y != nullptr) g[i] = bits;
      const float value = widen(bits);
      sum[c] += value;
      along[c] += value * widen(x[i]);
    }
  }
}

void backward(const Bfloat16* HWY_RESTRICT g, const Bfloat16* HWY_RESTRICT x, std::int64_t rows, std::int64_t width,
              const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, const float* HWY_RESTRICT c,
              Bfloat16* HWY_RESTRICT dx) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t k = 0; k < width; ++k) {
      const std::int64_t i = r * width + k;
      dx[i] = round(a[k] * widen(g[i]) + b[k] * widen(x[i]) + c[k]);
    }
  }
}

}  // namespace nmlbench::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nmlbench::kernels {

HWY_EXPORT(moments);
HWY_EXPORT(apply);
HWY_EXPORT(through_relu);
HWY_EXPORT(backward);

void batch_moments(const Bfloat16* x, std::int64_t rows, std::int64_t width, float* sum, float* squares) {
  NMLBENCH_DISPATCH(moments)(x, rows, width, sum, squares);
}

void batch_apply(const Bfloat16* x, const Bfloat16* skip, std::int64_t rows, std::int64_t width, const float* scale,
                 const float* shift, float floor, Bfloat16* y) {
  NMLBENCH_DISPATCH(apply)(x, skip, rows, width, scale, shift, floor, y);
}

void batch_through_relu(const Bfloat16* dy, const Bfloat16* y, const Bfloat16* x, std::int64_t rows, std::int64_t width,
                        Bfloat16* g, float* sum, float* along) {
  NMLBENCH_DISPATCH(through_relu)(dy, y, x, rows, width, g, sum, along);
}

void batch_backward(const Bfloat16* g, const Bfloat16* x, std::int64_t rows, std::int64_t width, const float* a,
                    const float* b, const float* c, Bfloat16* dx) {
  NMLBENCH_DISPATCH(backward)(g, x, rows, width, a, b, c, dx);
}

}  // namespace nmlbench::kernels
#endif
