#include "models/layers/image_classifier.h"

namespace nmlbench::plugins {
namespace {

// Images that are encoded at a time: what a few layers make of them stays in the caches.
constexpr std::int64_t kFeatureRows = 32;

}  // namespace

ImageClassifier::ImageClassifier(const char* name, const Params& params, const UsualInput& usual)
    : LayeredEncoder(name, params),
      size_(params.integer("size")),
      preprocessing_{params.text("resize"), params.real("crop_pct"), params.text("interpolation")},
      mean_(params.reals("mean")),
      std_(params.reals("std")),
      weights_(params.text("weights")),
      drop_path_(params.real("drop_path")) {
  if (size_ == 0) size_ = usual.size;
  if (preprocessing_.crop_pct == 0) preprocessing_.crop_pct = usual.crop_pct;
  if (mean_.empty()) mean_ = usual.mean;
  if (std_.empty()) std_ = usual.std;
  if (size_ < 8 || preprocessing_.crop_pct < 0.06) {
    throw Error(name + std::string(": size is at least 8 px and crop_pct at least 0.06, or 0 for the variant's"));
  }
}

void ImageClassifier::build(const InputInfo& input, const Stream& init) {
  require_images(input, plugin_name());
  for (const std::vector<double>* colours : {&mean_, &std_}) {
    if (colours->size() != 1 && colours->size() != 3) {
      throw Error(std::string(plugin_name()) + ": mean and std have one number or one for each of three colours");
    }
  }
  add_layers();
  if (weights_.empty()) {
    if (input.classes > 0) head_ = add_head(input.classes);
    initialise(init);
    drop_path_.build(*this, init);
  } else {
    load_weights(*this, weights_, renames(),
                 [this](const std::string& name, const torch::Tensor& theirs, torch::IntArrayRef ours) {
                   return adapted(name, theirs, ours);
                 });
  }
  for (torch::Tensor& weight : parameters()) {  // convolutions run fastest so
    if (weight.dim() == 4) weight.set_data(weight.data().contiguous(torch::MemoryFormat::ChannelsLast));
  }
}

InputSpec ImageClassifier::input() const {
  InputSpec spec;
  spec.height = spec.width = size_;
  spec.mean = mean_;
  spec.std = std_;
  spec.preprocessing = preprocessing_;
  return spec;
}

torch::Tensor ImageClassifier::pooled(const torch::Tensor& state, std::int64_t, const std::string& pooling) {
  return pooling == "max" ? at_least_float(state).amax({2, 3}) : at_least_float(state).mean({2, 3});
}

torch::Tensor ImageClassifier::encode(const torch::Tensor& x, const std::vector<Readout>& readouts) {
  const auto features_of = [&](const torch::Tensor& rows) {
    HiddenStates states(readouts);
    run(rows, states);
    return read(readouts, [&](std::int64_t layer, const std::string& pooling) {
      return pooled(states.at(layer), layer, pooling);
    });
  };
  if (torch::GradMode::is_enabled() || is_training() || x.is_cuda()) return features_of(x);
  std::vector<torch::Tensor> parts;
  for (const torch::Tensor& rows : x.split(kFeatureRows)) parts.push_back(features_of(rows));
  return torch::cat(parts);
}

torch::Tensor ImageClassifier::pretrain_logits(const Batch& batch) {
  if (head_.is_empty()) throw Error(std::string(plugin_name()) + " was built without pre-training classes");
  if (is_training()) drop_path_.next_step();
  return torch::linear(encode(batch.x, of_head()), head_->weight.flatten(1), head_->bias);
}

}  // namespace nmlbench::plugins
