// One split in use: opened once, shared by every job that reads it; images and features stay in memory, once read, when
// they fit.
#pragma once

#include "plan/plan.h"

#include <nmlbench/dataset.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace nmlbench {

// [any-thread]
class SplitData {
 public:
  // Opens the split. Throws DataError.
  explicit SplitData(const ResolvedPlugin& plugin);

  const SplitInfo& info() const { return info_; }
  // int64 [N], checked to lie in [0, classes).
  const torch::Tensor& labels() const { return labels_; }
  // int64 [N]: where each sample stands in the whole set (Dataset::rows), and the size of that set.
  const torch::Tensor& rows() const { return rows_; }
  std::int64_t full_size() const { return std::max(info_.full_size, info_.size); }
  // uint8 [B, C, H, W] or float32 [B, D] at `indices` (int64 [B], CPU), on the device.
  torch::Tensor samples(const torch::Tensor& indices, torch::Device device) const;
  // Whether all samples are in memory by now: samples() copies them.
  bool in_memory() const { return resident_.defined() && chunks_missing_ == 0; }
  // Dataset::crops, checked: uint8 [B, C, H, W], CPU.
  torch::Tensor crops(const torch::Tensor& indices, const ChooseCrop& choose) const;
  // The texts or captions at `indices` (int64 [B], CPU); only for SampleKind::text, which has no samples(), and
  // image_text.
  std::vector<Text> texts(const torch::Tensor& indices) const;

 private:
  torch::Tensor read(const torch::Tensor& indices, torch::Device device) const;
  void check_samples(const torch::Tensor& samples, std::int64_t rows, const char* method) const;

  std::unique_ptr<Dataset> dataset_;
  mutable std::mutex dataset_mutex_;  // a dataset serves one thread at a time
  SplitInfo info_;
  torch::Tensor labels_;
  torch::Tensor rows_;

  // All samples, CPU; undefined when they do not fit, and for texts. A chunk of them is read when the first of its
  // samples is asked for.
  torch::Tensor resident_;
  void read_chunks_of(const torch::Tensor& indices) const;
  mutable std::mutex resident_mutex_;  // of chunks that are not there yet
  mutable std::vector<bool> chunk_there_;
  mutable std::atomic<std::int64_t> chunks_missing_{0};

  // On a GPU a second copy, made when it is first asked for after all samples were read; none when its memory does not
  // hold it.
  torch::Tensor copy_on(torch::Device device) const;
  mutable std::mutex copy_mutex_;
  mutable torch::Tensor copy_;
  mutable bool no_room_ = false;
};

// Hands out splits and drops each one after its last use. [any-thread]
class SplitPool {
 public:
  // uses[i]: how often split i will be acquired.
  SplitPool(const Plan& plan, std::vector<std::size_t> uses);

  std::shared_ptr<const SplitData> acquire(std::size_t split);

 private:
  struct Slot {
    std::mutex mutex;
    std::size_t uses_left = 0;
    std::shared_ptr<const SplitData> data;
  };

  const Plan& plan_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace nmlbench
