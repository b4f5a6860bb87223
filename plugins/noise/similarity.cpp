#include "similarity.h"

#include "tables.h"
#include "vectors.h"

#include <algorithm>

namespace nmlbench::plugins {
namespace {

constexpr std::int64_t kRowsAtATime = 2048;  // samples at a time

// Calls f(part, vectors of the part) over all samples.
template <typename F>
void for_each_part(const SampleVectors& vectors, std::int64_t n, F f) {
  for (std::int64_t begin = 0; begin < n; begin += kRowsAtATime) {
    const torch::Tensor part = torch::arange(begin, std::min(begin + kRowsAtATime, n));
    f(part, vectors.at(part));
  }
}

// float64 [K, D]; a class without samples has zeros.
torch::Tensor class_means(const SampleVectors& vectors, const torch::Tensor& targets, std::int64_t classes) {
  torch::Tensor sums = torch::zeros({classes, vectors.dim()}, torch::kFloat64);
  for_each_part(vectors, targets.size(0), [&](const torch::Tensor& part, const torch::Tensor& x) {
    sums.index_add_(0, targets.index_select(0, part), x);
  });
  const torch::Tensor counts = torch::bincount(targets, {}, classes).to(torch::kFloat64).clamp_min(1).unsqueeze(1);
  return sums / counts;
}

// exp((cos - 1) / temperature) of the centred means; K x K.
torch::Tensor mean_similarity(const torch::Tensor& means, double temperature) {
  const torch::Tensor centred = means - means.mean(0, /*keepdim=*/true);
  const torch::Tensor unit = centred / centred.norm(2, 1, /*keepdim=*/true).clamp_min(1e-12);
  return ((unit.mm(unit.t()) - 1) / temperature).exp();
}

// How often the nearest class mean of a sample of class c is that of j.
torch::Tensor nearest_mean_confusion(const SampleVectors& vectors, const torch::Tensor& targets,
                                     const torch::Tensor& means) {
  const std::int64_t classes = means.size(0);
  torch::Tensor counts = torch::zeros({classes * classes}, torch::kFloat64);
  const torch::Tensor square = (means * means).sum(1);
  for_each_part(vectors, targets.size(0), [&](const torch::Tensor& part, const torch::Tensor& x) {
    const torch::Tensor nearest = (square - 2 * x.mm(means.t())).argmin(1);
    counts += torch::bincount(targets.index_select(0, part) * classes + nearest, {}, classes * classes);
  });
  return counts.view({classes, classes});
}

torch::Tensor confusion_of_file(const std::filesystem::path& file, std::int64_t classes) {
  const torch::Tensor counts = read_numbers(file);
  if (counts.sizes() != torch::IntArrayRef({classes, classes}) ||
      !((counts >= 0) & torch::isfinite(counts)).all().item<bool>()) {
    throw DataError(file.string() + ": a confusion matrix has no negative entries and is [" + std::to_string(classes) +
                    ", " + std::to_string(classes) + "] for these data, found " + c10::str(counts.sizes()));
  }
  return counts;
}

}  // namespace

torch::Tensor Similarity::weights(const NoiseInput& input) const {
  torch::Tensor w;
  if (!params_.text("confusion").empty()) {
    if (params_.text("by") != "confusion") throw DataError("a `confusion` file needs by = \"confusion\"");
    w = confusion_of_file(params_.path("confusion"), input.classes).clone();
  } else {
    const SampleVectors vectors(input, params_.path("features"));
    const torch::Tensor means = class_means(vectors, input.targets, input.classes);
    w = params_.text("by") == "means" ? mean_similarity(means, params_.real("temperature"))
                                      : nearest_mean_confusion(vectors, input.targets, means);
  }
  w.fill_diagonal_(0);
  // a class that is never taken for another: any of them
  const torch::Tensor never = w.sum(1) == 0;
  w.masked_fill_(never.unsqueeze(1) & ~torch::eye(input.classes, torch::kBool), 1.0);
  return w;
}

NoiseOutput Similarity::corrupt(const NoiseInput& input, const Stream& draws) {
  const double ratio = params_.real("ratio");
  if (ratio == 0) return input.targets.clone();
  if (input.classes < 2) throw DataError("there is one class only, and no other label to choose");
  const torch::Tensor w = weights(input);
  const torch::Tensor transition = mix_with_identity(w / w.sum(1, /*keepdim=*/true), ratio);
  return flip_labels(input.targets, transition, params_.text("mode") == "exact", draws);
}

}  // namespace nmlbench::plugins
