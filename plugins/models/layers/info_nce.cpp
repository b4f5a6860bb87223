#include "info_nce.h"

#include "full_precision.h"

#include <nmlbench/compat.h>
#include <nmlbench/data_parallel.h>
#include <nmlbench/dense.h>

#include <algorithm>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

// finite, so that a batch without any pair has no 0 * infinity; far below any logit, whatever the scale
constexpr double kNever = -1e30;

// - log p(own column), [B].
Tensor cross_entropy_of_pairs(const Tensor& logits) {
  return logits.logsumexp(1) - logits.diagonal();
}

// What the b samples of this process add to the loss of the whole batch: each image among the texts of all processes,
// each text among their images. image, text: rows of unit length [b, E].
Tensor share_of_info_nce(const Tensor& image, const Tensor& text, const Tensor& scale, const Tensor& paired,
                         const BatchShare& share) {
  const std::int64_t b = image.size(0), width = image.size(1);
  // in one tensor, so that there is one exchange whose place in the order is the same in all processes
  const Tensor all = gather_batch(torch::cat({image, text, paired.unsqueeze(1).to(image.scalar_type())}, 1));
  const Tensor images = all.slice(1, 0, width), texts = all.slice(1, width, 2 * width);
  const Tensor pairs = all.select(1, 2 * width).detach() > 0.5;
  const Tensor own = send(share.places, image.device()).unsqueeze(1), unpaired = pairs.logical_not().unsqueeze(0);
  const auto cross_entropy = [&](const Tensor& asking, const Tensor& answers) {
    const Tensor logits = (scale * asking.matmul(answers.t())).masked_fill(unpaired, kNever);
    return logits.logsumexp(1) - logits.gather(1, own).squeeze(1);
  };
  const Tensor losses =
      (cross_entropy(image, texts) + cross_entropy(text, images)).masked_fill(paired.logical_not(), 0) / 2;
  // weighted by b of B samples, as the harness does, these are sums over pairs divided by all pairs
  const double weight = static_cast<double>(share.size) / static_cast<double>(b);
  return losses.sum() * weight / pairs.sum().clamp_min(1);
}

}  // namespace

Tensor unit_rows(const Tensor& x) {
  const Tensor wide = x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
  return wide * wide.square().sum(1, /*keepdim=*/true).clamp_min(1e-12).rsqrt();
}

Tensor info_nce(const Tensor& image, const Tensor& text, const Tensor& scale, const Tensor& paired) {
  const FullPrecision full_precision;
  if (const SharedStep* step = shared_step()) {
    return share_of_info_nce(unit_rows(image), unit_rows(text), scale, paired, step->share);
  }
  const Tensor logits = scale * unit_rows(image).matmul(unit_rows(text).t());
  const Tensor unpaired = paired.logical_not();
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
