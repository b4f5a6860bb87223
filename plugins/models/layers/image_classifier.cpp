#include "models/layers/image_classifier.h"

namespace nmlbench::plugins {

ImageClassifier::ImageClassifier(const char* name, const Params& params, const UsualInput& usual)
    : name_(name),
      input_(name, params, usual),
      weights_(params.text("weights")),
      drop_path_(params.real("drop_path")) {}

void ImageClassifier::build(const InputInfo& input, const Stream& init) {
  require_images(input, name_);
  input_.require_colours();
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
  use_channels_last(*this);
}

torch::Tensor ImageClassifier::features(const Batch& batch) {
  return by_rows(*this, batch.x, [this](const torch::Tensor& x) { return pooled(x); });
}

torch::Tensor ImageClassifier::pretrain_logits(const Batch& batch) {
  if (head_.is_empty()) throw Error(std::string(name_) + " was built without pre-training classes");
  if (is_training()) drop_path_.next_step();
  return torch::linear(features(batch), head_->weight.flatten(1), head_->bias);
}

}  // namespace nmlbench::plugins
