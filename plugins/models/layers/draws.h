// How weights of new encoders are drawn.
#pragma once

#include <nmlbench/random.h>
#include <nmlbench/torch.h>

namespace nmlbench::plugins {

// `weight` filled from the stream, in place.
void draw_normal(torch::Tensor weight, const Stream& draws, double deviation);
void draw_uniform(torch::Tensor weight, const Stream& draws, double bound);
// Normal, drawn by inversion between -2 and 2 deviations.
void draw_truncated_normal(torch::Tensor weight, const Stream& draws, double deviation);

}  // namespace nmlbench::plugins
