#include "engine/corruption.h"

#include "engine/prepare.h"
#include "registry/registry.h"

#include <nmlbench/dense.h>

#include <map>

#include <fmt/format.h>

namespace nmlbench {
namespace {

torch::Tensor transition_matrix(const torch::Tensor& clean, const torch::Tensor& noisy, std::int64_t classes) {
  const torch::Tensor counts =
      torch::bincount(clean * classes + noisy, {}, classes * classes).view({classes, classes}).to(torch::kFloat64);
  return counts / counts.sum(1, true).clamp_min(1.0);
}

bool is_int64(const torch::Tensor& tensor, std::int64_t size) {
  return tensor.defined() && tensor.scalar_type() == torch::kInt64 && tensor.dim() == 1 &&
         (size < 0 || tensor.size(0) == size);
}

bool outside(const torch::Tensor& values, std::int64_t low, std::int64_t high) {
  return ((values < low) | (values >= high)).any().item<bool>();
}

// What a model returned against its contract (noise.h).
void check_output(const NoiseOutput& output, const NoiseInput& input, bool pairs, const std::string& name) {
  const std::int64_t n = input.targets.size(0);
  const auto fail = [&](const std::string& what) { throw Error(fmt::format("bug in noise model {}: {}", name, what)); };
  if (!is_int64(output.targets, n)) fail(fmt::format("targets are not int64 [{}]", n));
  if (outside(output.targets, pairs ? kNoCaption : 0, input.classes)) {
    fail(fmt::format("a target is outside [0, {})", input.classes));
  }
  if (output.kept.defined()) {
    if (!is_int64(output.kept, -1)) fail("the list of kept samples is not int64 [M]");
    if (outside(output.kept, 0, n)) fail(fmt::format("a kept sample is outside [0, {})", n));
    if ((output.kept.diff() <= 0).any().item<bool>()) fail("the kept samples are not in ascending order");
  }
  if (output.replaced.defined()) {
    if (!is_int64(output.replaced, n)) fail(fmt::format("the list of replaced samples is not int64 [{}]", n));
    if (outside(output.replaced, -1, input.source_size)) {
      fail(fmt::format("a replacement is outside the source's [0, {})", input.source_size));
    }
  }
}

// Images in another size or number of channels, as the split serves them: uint8 [B, C, H, W].
torch::Tensor like_split(const torch::Tensor& images, const SplitInfo& info) {
  if (images.sizes().slice(1) == torch::IntArrayRef(info.sample_shape)) return images;
  InputSpec spec;
  spec.channels = info.sample_shape.at(0);
  spec.height = info.sample_shape.at(1);
  spec.width = info.sample_shape.at(2);
  spec.mean.assign(1, 0.0);
  spec.std.assign(1, 1.0 / 255);  // prepare() divides by 255 first
  return prepare(images, spec).round().clamp(0, 255).to(torch::kUInt8);
}

void check_source(const SplitInfo& source, const SplitInfo& split) {
  if (source.kind == SampleKind::text || split.kind == SampleKind::text)
    throw DataError("it replaces images or features, and not texts");
  const bool features = source.kind == SampleKind::feature;
  if (features != (split.kind == SampleKind::feature)) {
    throw DataError("the `source` has features and the split images, or the other way round");
  }
  if (features && source.sample_shape != split.sample_shape) {
    throw DataError(fmt::format("the features of the `source` have {} values and those of the split {}",
                                source.sample_shape.at(0), split.sample_shape.at(0)));
  }
}

}  // namespace

CorruptedSplit::CorruptedSplit(const std::vector<NoiseStep>& noise, std::shared_ptr<const SplitData> split,
                               const SplitSource& splits, const Stream& draws)
    : split_(std::move(split)), rows_(torch::arange(split_->info().size)), targets_(split_->labels().clone()) {
  if (split_->info().kind == SampleKind::image_text) captions_ = rows_.clone();
  std::map<std::string, std::int64_t> seen;
  for (const NoiseStep& step : noise) {
    const std::string& name = step.model.name;
    const Stream own = noise.size() == 1 ? draws : draws.at(name).at(seen[name]++);
    try {
      apply(step, splits, own);
    } catch (const DataError& error) {
      throw DataError(fmt::format("{}: noise {}: {}", step.model.where.text(), name, error.what()));
    }
  }
}

void CorruptedSplit::apply(const NoiseStep& step, const SplitSource& splits, const Stream& draws) {
  const std::unique_ptr<NoiseModel> model = make_noise(step.model);
  const bool pairs = model->corrupts_pairs();
  if (pairs && !captions_.defined()) {
    throw DataError("it corrupts the captions of image-text pairs, and the data have none");
  }
  std::shared_ptr<const SplitData> source;
  if (step.source) {
    source = splits(*step.source);
    check_source(source->info(), split_->info());
  }
  const NoiseInput input = input_for(*model, source);
  const NoiseOutput output = model->corrupt(input, draws);
  check_output(output, input, pairs, step.model.name);
  (pairs ? captions_ : targets_) = output.targets;
  if (output.replaced.defined()) replacements_.push_back({source, output.replaced});
  if (output.kept.defined()) keep(output.kept);
}

NoiseInput CorruptedSplit::input_for(const NoiseModel& model, const std::shared_ptr<const SplitData>& source) const {
  NoiseInput input;
  const bool pairs = model.corrupts_pairs();
  input.targets = (pairs ? captions_ : targets_).clone();  // a model that writes into its input must not spoil ours
  input.classes = pairs ? split_->info().size : split_->info().classes;
  input.rows = split_->rows().index_select(0, rows_);
  input.full_size = split_->full_size();
  input.samples = [this](const torch::Tensor& indices) {
    if (info().kind == SampleKind::text)
      throw DataError("it looks at images or features, and the data are texts; use one that looks at labels alone");
    return samples(indices, torch::kCPU);
  };
  input.source_size = source ? source->info().size : 0;
  return input;
}

void CorruptedSplit::keep(const torch::Tensor& kept) {
  if (kept.size(0) == 0) throw DataError("no sample is left to train on");
  for (torch::Tensor* of_sample : {&rows_, &targets_, &captions_}) {
    if (of_sample->defined()) *of_sample = of_sample->index_select(0, kept);
  }
  for (Replacement& replacement : replacements_) replacement.sample = replacement.sample.index_select(0, kept);
}

torch::Tensor CorruptedSplit::samples(const torch::Tensor& indices, torch::Device device) const {
  torch::Tensor samples = split_->samples(rows_.index_select(0, indices), device);
  for (const Replacement& replacement : replacements_) {
    const torch::Tensor stand_in = replacement.sample.index_select(0, indices);
    const torch::Tensor at = (stand_in >= 0).nonzero().view(-1);
    if (at.size(0) == 0) continue;
    torch::Tensor images = replacement.source->samples(stand_in.index_select(0, at), device);
    if (info().kind != SampleKind::feature) images = like_split(images, info());
    samples = samples.index_copy(0, at.to(device), images);
  }
  return samples;
}

std::vector<Text> CorruptedSplit::texts(const torch::Tensor& indices) const {
  if (!captions_.defined()) return split_->texts(rows_.index_select(0, indices));
  const torch::Tensor owner = captions_.index_select(0, indices);
  std::vector<Text> captions = split_->texts(owner.clamp_min(0));
  for (std::size_t i = 0; i < captions.size(); ++i) {
    if (dense_data<std::int64_t>(owner)[i] == kNoCaption) captions[i] = Text();
  }
  return captions;
}

// Another image's caption may say the same.
torch::Tensor CorruptedSplit::changed_text(const torch::Tensor& indices) const {
  const std::vector<Text> before = split_->texts(rows_.index_select(0, indices)), after = texts(indices);
  torch::Tensor changed = torch::empty({indices.size(0)}, torch::kBool);
  for (std::size_t i = 0; i < before.size(); ++i) dense_data<bool>(changed)[i] = before[i].first != after[i].first;
  return changed;
}

double CorruptedSplit::realised_rate() const {
  constexpr std::int64_t kCaptionsAtOnce = 4096;
  torch::Tensor corrupted = targets_ != clean();
  if (captions_.defined()) {
    const torch::Tensor moved = (captions_ != rows_).nonzero().view(-1);
    for (const torch::Tensor& indices : moved.split(kCaptionsAtOnce))
      corrupted.index_put_({indices}, changed_text(indices));
  }
  for (const Replacement& replacement : replacements_) corrupted |= replacement.sample >= 0;
  return corrupted.to(torch::kFloat64).mean().item<double>();
}

torch::Tensor CorruptedSplit::transition() const {
  constexpr std::int64_t kMostClasses = 4096;  // their square is stored as text with every checkpoint
  if (captions_.defined() || info().classes > kMostClasses) return {};
  return transition_matrix(clean(), targets_, info().classes);
}

}  // namespace nmlbench
