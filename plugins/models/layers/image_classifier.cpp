#include "models/layers/image_classifier.h"

namespace nmlbench::plugins {

ImageClassifier::ImageClassifier(const char* name, const Params& params, const UsualInput& usual)
    : LayeredEncoder(name, params),
      input_(name, params, usual),
      weights_(params.text("weights")),
      drop_path_(params.real("drop_path")) {}

void ImageClassifier::build(const InputInfo& input, const Stream& init) {
  require_images(input, plugin_name());
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

torch::Tensor ImageClassifier::pooled(const torch::Tensor& state, std::int64_t, const std::string& pooling) {
  return pooling == "max" ? at_least_float(state).amax({2, 3}) : at_least_float(state).mean({2, 3});
}

torch::Tensor ImageClassifier::encode(const torch::Tensor& x, const std::vector<Readout>& readouts) {
  return by_rows(*this, x, [&](const torch::Tensor& rows) {
    HiddenStates states(readouts);
    run(rows, states);
    return read(readouts, [&](std::int64_t layer, const std::string& pooling) {
      return pooled(states.at(layer), layer, pooling);
    });
  });
}

torch::Tensor ImageClassifier::pretrain_logits(const Batch& batch) {
  if (head_.is_empty()) throw Error(std::string(plugin_name()) + " was built without pre-training classes");
  if (is_training()) drop_path_.next_step();
  return torch::linear(encode(batch.x, of_head()), head_->weight.flatten(1), head_->bias);
}

}  // namespace nmlbench::plugins
