#include "info_nce.h"

#include "full_precision.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>

#include <algorithm>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

// - log p(own column), [B].
Tensor cross_entropy_of_pairs(const Tensor& logits) {
  return logits.logsumexp(1) - logits.diagonal();
}

}  // namespace

Tensor unit_rows(const Tensor& x) {
  const Tensor wide = x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
  return wide * wide.square().sum(1, /*keepdim=*/true).clamp_min(1e-12).rsqrt();
}

Tensor info_nce(const Tensor& image, const Tensor& text, const Tensor& scale, const Tensor& paired) {
  const FullPrecision full_precision;
  const Tensor logits = scale * unit_rows(image).matmul(unit_rows(text).t());
  const Tensor unpaired = paired.logical_not();
  // finite, so that a batch without any pair has no 0 * infinity; far below any logit, whatever the scale
  constexpr double kNever = -1e30;
  const Tensor by_image = cross_entropy_of_pairs(logits.masked_fill(unpaired.unsqueeze(0), kNever));
  const Tensor by_text = cross_entropy_of_pairs(logits.t().masked_fill(unpaired.unsqueeze(0), kNever));
  const Tensor losses = (by_image + by_text).masked_fill(unpaired, 0) / 2;
  return losses.sum() / paired.sum().clamp_min(1);
}

Tensor with_caption(const std::vector<Text>& captions, torch::Device device) {
  Tensor there = torch::empty({static_cast<std::int64_t>(captions.size())}, torch::kBool);
  std::transform(captions.begin(), captions.end(), dense_data<bool>(there),
                 [](const Text& caption) { return !caption.first.empty(); });
  return send(there, device);
}

}  // namespace nmlbench::plugins
