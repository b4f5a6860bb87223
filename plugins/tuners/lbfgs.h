// L-BFGS for many convex functions at once: one batch of points, each with a line search of its own; those that have
// arrived leave the batch.
#pragma once

#include <nmlbench/context.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <functional>

namespace nmlbench::plugins {

// Of A functions of P variables each, at one point each.
struct Evaluation {
  torch::Tensor value;      // float64 [A]
  torch::Tensor gradient;   // [A, P]
  torch::Tensor curvature;  // [A, P], above 0: about the diagonal of the Hessian, the metric of the search directions
};

// points [A, P], of the functions whose numbers are `which` (int64 [A]).
using Objectives = std::function<Evaluation(const torch::Tensor& points, const torch::Tensor& which)>;

struct LbfgsLimits {
  double gradient_norm = 1e-8;       // Euclidean; at or below, a function has arrived
  std::int64_t evaluations = 10000;  // of each function, at most
};

struct Minima {
  torch::Tensor points;         // [H, P]
  torch::Tensor values;         // float64 [H]
  torch::Tensor gradient_norm;  // float64 [H]; above the limit where evaluations or digits ran out
  torch::Tensor evaluations;    // int64 [H]; fewer than the limit where digits did
};

// Minimises H functions from `start` [H, P] by L-BFGS (Liu & Nocedal 1989; the compact form of Byrd, Nocedal & Schnabel
// 1994), whose initial matrix is that of `curvature`, with the line search's condition of Hager & Zhang (2005) for
// steps that are as short as rounding. What a function gets does not depend on the others but for the rounding of
// batched products. A function whose value is not finite is given up at its last point.
Minima minimise(const Objectives& objectives, const torch::Tensor& start, const LbfgsLimits& limits,
                const Context& context);

}  // namespace nmlbench::plugins
