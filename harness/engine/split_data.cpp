#include "engine/split_data.h"

#include "engine/process.h"
#include "records/metrics.h"
#include "registry/registry.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

constexpr std::int64_t kReadChunk = 256;  // samples per call of what stays in memory

void check_labels(const torch::Tensor& labels, const SplitInfo& info, const std::string& name) {
  if (labels.dim() != 1 || labels.scalar_type() != torch::kInt64 || labels.size(0) != info.size) {
    throw DataError(fmt::format("dataset {}: labels are not int64 [{}]", name, info.size));
  }
  const torch::Tensor bad = ((labels < 0) | (labels >= info.classes)).nonzero();
  if (bad.size(0) > 0) {
    const auto row = bad[0][0].item<std::int64_t>();
    throw DataError(fmt::format("dataset {}: label {} of sample {} is outside [0, {})", name,
                                labels[row].item<std::int64_t>(), row, info.classes));
  }
}

// Several right classes, and sets of samples that are scored together.
void check_scoring(const torch::Tensor& labels, const SplitInfo& info, const std::string& name) {
  const auto n = static_cast<std::size_t>(info.size);
  if (!info.right_classes.empty() && info.right_classes.size() != n)
    throw DataError(fmt::format("bug in dataset {}: right_classes are not one list for each sample", name));
  for (std::size_t i = 0; i < info.right_classes.size(); ++i) {
    const auto& right = info.right_classes[i];
    if (!right.empty() && std::all_of(right.begin(), right.end(), [&](auto c) { return c >= 0 && c < info.classes; }))
      continue;
    throw DataError(fmt::format("bug in dataset {}: sample {} has no right class in [0, {})", name, i, info.classes));
  }
  if (info.sets.empty()) return;
  if (info.sets.size() != n || info.sets.front() != 0)
    throw DataError(fmt::format("bug in dataset {}: sets are not one number for each sample, from 0", name));
  for (std::size_t i = 1; i < n; ++i) {
    const bool goes_on = info.sets[i] == info.sets[i - 1];
    const auto row = static_cast<std::int64_t>(i);
    if ((goes_on && labels[row].item<std::int64_t>() == labels[row - 1].item<std::int64_t>()) ||
        info.sets[i] == info.sets[i - 1] + 1)
      continue;
    throw DataError(fmt::format("bug in dataset {}: the set of sample {} is {}", name, i,
                                goes_on ? "of another label" : "not the same as, or the next after, that before it"));
  }
}

// What is measured on this set alone.
void check_measures(const SplitInfo& info, const std::string& name) {
  for (const std::string& metric : info.metrics) {
    if (!is_measured_where_asked(metric))
      throw DataError(fmt::format("bug in dataset {}: \"{}\" is no metric of single test sets", name, metric));
    if ((metric == "pearson" || metric == "spearman") && info.scores.empty())
      throw DataError(fmt::format("bug in dataset {}: {} is between scores, and there are none", name, metric));
    if (metric == "f1" && info.classes != 2)
      throw DataError(fmt::format("dataset {}: f1 is of class 1 of two, and there are {} classes", name, info.classes));
  }
  if (info.scores.empty()) return;
  if (info.scores.size() != static_cast<std::size_t>(info.size) || !info.sets.empty() ||
      !info.training_classes.empty() ||
      !std::all_of(info.scores.begin(), info.scores.end(), [](double score) { return std::isfinite(score); })) {
    throw DataError(fmt::format("bug in dataset {}: scores are not one number for each sample", name));
  }
}

// The rows a dataset gives, checked; 0..N-1 when it gives none.
torch::Tensor rows_of(Dataset& dataset, const SplitInfo& info, const std::string& name) {
  const torch::Tensor rows = dataset.rows();
  if (!rows.defined()) return torch::arange(info.size);
  const std::int64_t full_size = std::max(info.full_size, info.size);
  if (rows.dim() != 1 || rows.scalar_type() != torch::kInt64 || rows.size(0) != info.size ||
      ((rows < 0) | (rows >= full_size)).any().item<bool>()) {
    throw DataError(fmt::format("bug in dataset {}: rows() is not int64 [{}] in [0, {})", name, info.size, full_size));
  }
  return rows;
}

std::vector<std::int64_t> batch_shape(const SplitInfo& info, std::int64_t rows) {
  std::vector<std::int64_t> shape = {rows};
  shape.insert(shape.end(), info.sample_shape.begin(), info.sample_shape.end());
  return shape;
}

}  // namespace

SplitData::SplitData(const ResolvedPlugin& plugin) : dataset_(make_dataset(plugin)) {
  info_ = dataset_->open();
  if (info_.size <= 0 || info_.classes <= 0) {
    throw DataError(fmt::format("dataset {}: the split is empty", plugin.name));
  }
  labels_ = dataset_->labels();
  check_labels(labels_, info_, plugin.name);
  check_scoring(labels_, info_, plugin.name);
  check_measures(info_, plugin.name);
  rows_ = rows_of(*dataset_, info_, plugin.name);
  if (!info_.fits_in_memory || info_.kind == SampleKind::text) return;
  const auto type = info_.kind == SampleKind::feature ? torch::kFloat32 : torch::kUInt8;
  resident_ = torch::empty(batch_shape(info_, info_.size), torch::dtype(type));
  chunks_missing_ = (info_.size + kReadChunk - 1) / kReadChunk;
  chunk_there_.assign(static_cast<std::size_t>(chunks_missing_), false);
}

void SplitData::read_chunks_of(const torch::Tensor& indices) const {
  if (chunks_missing_ == 0) return;
  const std::lock_guard lock(resident_mutex_);
  for (std::int64_t i = 0; i < indices.size(0) && chunks_missing_ > 0; ++i) {
    const std::int64_t chunk = dense_data<std::int64_t>(indices)[i] / kReadChunk;
    if (chunk_there_.at(static_cast<std::size_t>(chunk))) continue;
    const std::int64_t begin = chunk * kReadChunk, end = std::min(begin + kReadChunk, info_.size);
    resident_.slice(0, begin, end).copy_(read(torch::arange(begin, end), torch::kCPU));
    chunk_there_[static_cast<std::size_t>(chunk)] = true;
    --chunks_missing_;
  }
}

torch::Tensor SplitData::read(const torch::Tensor& indices, torch::Device device) const {
  const std::lock_guard lock(dataset_mutex_);
  torch::Tensor samples = dataset_->samples(indices, device);
  check_samples(samples, indices.size(0), "samples()");
  return samples;
}

void SplitData::check_samples(const torch::Tensor& samples, std::int64_t rows, const char* method) const {
  const auto type = info_.kind == SampleKind::feature ? torch::kFloat32 : torch::kUInt8;
  const std::vector<std::int64_t> expected = batch_shape(info_, rows);
  if (samples.scalar_type() == type && samples.sizes() == torch::IntArrayRef(expected)) return;
  throw DataError(fmt::format("bug in the dataset plugin: {} gave {} {}, expected {} [{}]", method,
                              c10::toString(samples.scalar_type()), c10::str(samples.sizes()), c10::toString(type),
                              fmt::join(expected, ", ")));
}

torch::Tensor SplitData::crops(const torch::Tensor& indices, const ChooseCrop& choose) const {
  const std::lock_guard lock(dataset_mutex_);
  torch::Tensor crops = dataset_->crops(indices, choose);
  check_samples(crops, indices.size(0), "crops()");
  return crops;
}

torch::Tensor SplitData::samples(const torch::Tensor& indices, torch::Device device) const {
  if (!resident_.defined()) return read(indices, device);
  read_chunks_of(indices);
  if (!device.is_cpu() && in_memory()) {
    if (const torch::Tensor all = copy_on(device); all.defined()) return all.index_select(0, send(indices, device));
  }
  return send(resident_.index_select(0, indices), device);
}

torch::Tensor SplitData::copy_on(torch::Device device) const {
  const std::lock_guard lock(copy_mutex_);
  if (copy_.defined() || no_room_) return copy_;
  try {
    copy_ = resident_.to(device);
  } catch (...) {
    if (!current_exception_is_out_of_memory()) throw;
    no_room_ = true;
    spdlog::warn("{} has no room for a split of {} samples; they are sent batch by batch", device.str(), info_.size);
  }
  return copy_;
}

std::vector<Text> SplitData::texts(const torch::Tensor& indices) const {
  const std::lock_guard lock(dataset_mutex_);
  std::vector<Text> texts = dataset_->texts(indices);
  if (static_cast<std::int64_t>(texts.size()) == indices.size(0)) return texts;
  throw DataError(fmt::format("bug in the dataset plugin: texts() gave {} of {} texts", texts.size(), indices.size(0)));
}

SplitPool::SplitPool(const Plan& plan, std::vector<std::size_t> uses) : plan_(plan) {
  for (const std::size_t count : uses) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->uses_left = count;
  }
}

std::shared_ptr<const SplitData> SplitPool::acquire(std::size_t split) {
  Slot& slot = *slots_.at(split);
  const std::lock_guard lock(slot.mutex);
  std::shared_ptr<const SplitData> data = slot.data;
  if (!data) data = std::make_shared<const SplitData>(plan_.splits[split].plugin);
  if (slot.uses_left > 0) --slot.uses_left;
  slot.data = slot.uses_left > 0 ? data : nullptr;
  return data;
}

}  // namespace nmlbench
