// Applies noise models to the training split of a checkpoint, or of a task, and measures what they really did.
#pragma once

#include "engine/split_data.h"

#include <nmlbench/noise.h>
#include <nmlbench/random.h>

#include <functional>
#include <memory>
#include <vector>

namespace nmlbench {

// Opens, or finds opened, the split of that index in the plan.
using SplitSource = std::function<std::shared_ptr<const SplitData>(std::size_t split)>;

// A split as pre-training sees it: M of its samples, in their order, with noisy targets. Test splits never become one.
// A single model draws from `draws`; of a list, each one from a stream named after the model, so that adding a model
// moves no other one's draws.
class CorruptedSplit {
 public:
  // Throws Error when a model breaks its contract or cannot be applied to these data.
  CorruptedSplit(const std::vector<NoiseStep>& noise, std::shared_ptr<const SplitData> split, const SplitSource& splits,
                 const Stream& draws);

  const SplitInfo& info() const { return split_->info(); }  // of the whole split
  std::int64_t size() const { return rows_.size(0); }       // M
  // int64 [M], class labels.
  const torch::Tensor& targets() const { return targets_; }
  // int64 [M], ascending: the samples of the split that stay.
  const torch::Tensor& rows() const { return rows_; }
  // Samples at `indices` (int64 [B], CPU, in [0, M)), on the device; replaced ones come from their source, resized.
  torch::Tensor samples(const torch::Tensor& indices, torch::Device device) const;
  // Texts at `indices`, as samples(); of image-text pairs the captions that go with those images, "" where there is
  // none.
  std::vector<Text> texts(const torch::Tensor& indices) const;

  // Samples with another label, a caption of another text or none, or another image, divided by M.
  double realised_rate() const;
  // float64 [K, K], rows sum to 1: clean class -> noisy class, of the M samples; undefined for image-text pairs.
  torch::Tensor transition() const;

 private:
  struct Replacement {
    std::shared_ptr<const SplitData> source;
    torch::Tensor sample;  // int64 [M], of the source; -1: the image is its own
  };

  void apply(const NoiseStep& step, const SplitSource& splits, const Stream& draws);
  torch::Tensor changed_text(const torch::Tensor& indices) const;  // bool [B]: whose caption is not the text it was
  NoiseInput input_for(const NoiseModel& model, const std::shared_ptr<const SplitData>& source) const;
  void keep(const torch::Tensor& kept);
  torch::Tensor clean() const { return split_->labels().index_select(0, rows_); }

  std::shared_ptr<const SplitData> split_;
  torch::Tensor rows_;      // int64 [M], ascending: the samples that stay
  torch::Tensor targets_;   // int64 [M]
  torch::Tensor captions_;  // int64 [M]: whose caption image i has, or kNoCaption; undefined unless image-text
  std::vector<Replacement> replacements_;  // a later one wins
};

}  // namespace nmlbench
