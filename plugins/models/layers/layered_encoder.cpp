#include "models/layers/layered_encoder.h"

namespace nmlbench::plugins {

std::int64_t LayeredEncoder::feature_dim() const {
  std::int64_t columns = 0;
  for (const Readout& readout : readouts()) {
    const bool of_tokens = readout.pooling == "tokens";
    for (std::int64_t layer = readout.first; layer <= readout.last; ++layer) {
      columns += width(layer) * (of_tokens ? tokens(layer) : 1);
    }
    if (readout.pooling == "cls+mean") columns += width(readout.last);
  }
  return columns;
}

std::int64_t LayeredEncoder::feature_tokens() const {
  const Readout readout = readout_of(params_.front());
  return readout.pooling == "tokens" ? tokens(readout.last) : 1;
}

void LayeredEncoder::set_readouts(const std::vector<Params>& readouts) {
  for (const Params& params : readouts) readout_of(params);
  params_ = readouts;
}

std::vector<Readout> LayeredEncoder::readouts() const {
  std::vector<Readout> readouts;
  for (const Params& params : params_) readouts.push_back(readout_of(params));
  return readouts;
}

Readout LayeredEncoder::readout_of(const Params& params) const {
  const std::int64_t layer = params.integer("layer"), layers = params.integer("layers");
  const std::int64_t last = layer < 0 ? last_layer() + 1 + layer : layer;
  const std::string there = ", and there are the hidden states 0 to " + std::to_string(last_layer());
  if (last < 0 || last > last_layer()) throw Error(name_ + std::string(": layer = ") + std::to_string(layer) + there);
  if (layers > last + 1) {
    throw Error(name_ + std::string(": layers = ") + std::to_string(layers) + " that end with the hidden state " +
                std::to_string(last) + there);
  }
  const std::string& pooling = params.text("pooling");
  if (pooling == "tokens" && layers > 1) {
    throw Error(name_ + std::string(": pooling = \"tokens\" reads one hidden state; remove layers = ") +
                std::to_string(layers));
  }
  return {pooling == "head" ? head_pooling() : pooling, last + 1 - layers, last};
}

torch::Tensor LayeredEncoder::read(const std::vector<Readout>& readouts, const Pool& pool) {
  std::vector<torch::Tensor> parts;
  for (const Readout& readout : readouts) {
    const bool both = readout.pooling == "cls+mean";
    for (std::int64_t layer = readout.first; layer <= readout.last; ++layer) {
      parts.push_back(pool(layer, both ? "cls" : readout.pooling));
    }
    if (both) parts.push_back(pool(readout.last, "mean"));
  }
  return parts.size() == 1 ? parts.front() : torch::cat(parts, 1);
}

}  // namespace nmlbench::plugins
