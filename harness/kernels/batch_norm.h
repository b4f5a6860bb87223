// The passes over memory of batch normalisation in bfloat16, with what follows it in a residual network: channels-last
// pixels [rows, width], a bfloat16 as its bits. Sums are float32.
#pragma once

#include <cstdint>

namespace nmlbench::kernels {

using Bfloat16 = std::uint16_t;  // the upper half of a float's bits

// sum, squares [width] += of each column.
void batch_moments(const Bfloat16* x, std::int64_t rows, std::int64_t width, float* sum, float* squares);

// y = max(x scale + shift + skip, floor), scale and shift [width]; `skip` may be null.
void batch_apply(const Bfloat16* x, const Bfloat16* skip, std::int64_t rows, std::int64_t width, const float* scale,
                 const float* shift, float floor, Bfloat16* y);

// g = dy where y is positive, 0 elsewhere; null `y`: g = dy, which is not written. sum [width] += g, along += g x.
void batch_through_relu(const Bfloat16* dy, const Bfloat16* y, const Bfloat16* x, std::int64_t rows, std::int64_t width,
                        Bfloat16* g, float* sum, float* along);

// dx = a g + b x + c, with a, b, c [width].
void batch_backward(const Bfloat16* g, const Bfloat16* x, std::int64_t rows, std::int64_t width, const float* a,
                    const float* b, const float* c, Bfloat16* dx);

}  // namespace nmlbench::kernels
