// A noise model corrupts what pre-training sees: class labels, the pairing of images and captions, the images
// themselves, or which samples are there at all. Test splits never pass through it.
//
// A matrix may list several models; they run in the order of the list, and each one sees what the ones before it left.
#pragma once

#include <nmlbench/error.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

namespace nmlbench {

// As a target of an image-text pair: the image has lost its caption.
inline constexpr std::int64_t kNoCaption = -1;

struct NoiseInput {
  // int64 [N], CPU: class labels; or, when the model corrupts pairs, which caption belongs to image i, kNoCaption for
  // none.
  torch::Tensor targets;
  std::int64_t classes = 0;  // K; for image-text pairs, the number of captions
  // int64 [N], CPU: where each sample stands in the whole set. Files that hold something for every sample of the set
  // (human labels, features) are read at these rows. Undefined: 0..N-1.
  torch::Tensor rows;
  std::int64_t full_size = 0;  // samples of the whole set; 0: N
  // Images or vectors of the samples at `indices` (in [0, N)), as Dataset::samples gives them; for instance-dependent
  // noise.
  std::function<torch::Tensor(const torch::Tensor& indices)> samples;
  std::int64_t source_size = 0;  // samples of the source that the matrix declares; 0: none
};

// Made from the targets alone when nothing else changes.
struct NoiseOutput {
  NoiseOutput(torch::Tensor noisy) : targets(std::move(noisy)) {}  // NOLINT: a model of labels returns its labels

  torch::Tensor targets;  // int64 [N], CPU: noisy targets; the input is not modified
  // int64 [M], CPU, ascending: the samples that stay in the training split. Undefined: all.
  torch::Tensor kept;
  // int64 [N], CPU: the sample of the source that stands in for sample i, or -1. Undefined: none is replaced.
  torch::Tensor replaced;
};

class NMLBENCH_EXPORT NoiseModel {
 public:
  virtual ~NoiseModel();

  // True when the targets are image-text pairings rather than class labels.
  virtual bool corrupts_pairs() const { return false; }

  // True when it replaces samples by those of another dataset; the matrix declares it: source = { plugin = "..." }.
  virtual bool replaces_samples() const { return false; }

  // Same input and draws, same output. Every random number comes from `draws`. Throws DataError for files that do not
  // fit the split.
  virtual NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) = 0;

  // The rate of corrupted samples (another target, no caption, or another image) that these parameters mean for K
  // classes of equal size, where it is known in closed form; the conformance kit compares the realised rate with it.
  virtual std::optional<double> expected_rate(std::int64_t classes) const;

  // float64 [K, K], rows sum to 1: the transition matrix T(i, j) = P(noisy label j | clean label i) that these
  // parameters mean, where it is known before the samples are; undefined otherwise. The conformance kit compares.
  virtual torch::Tensor expected_transition(std::int64_t classes) const;

  // True when the draws change nothing (labels of a file). The conformance kit expects other draws to give other
  // targets where this is false.
  virtual bool draws_nothing() const { return false; }
};

}  // namespace nmlbench
