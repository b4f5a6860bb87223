// Encoders whose features are read from the hidden states that their network goes through: which of them, and how their
// tokens or pixels become one vector, are readouts (Role::readout), of which one pass gives any number.
#pragma once

#include <nmlbench/encoder.h>
#include <nmlbench/params.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace nmlbench::plugins {

// The parameters that a family declares. `poolings`: "mean|max", of which "head" is what the pre-training head reads;
// `states`: which hidden states there are.
#define NMLBENCH_READOUT_PARAMS(pooling, poolings, pooling_doc, states)                                           \
  ::nmlbench::choice("pooling", pooling, poolings, "features: " pooling_doc).as(::nmlbench::Role::readout),       \
      ::nmlbench::integer("layer", "-1", "hidden state that features are read from: " states ", -1 the last")     \
          .range(-1000, 1000)                                                                                     \
          .as(::nmlbench::Role::readout),                                                                         \
      ::nmlbench::integer("layers", "1",                                                                          \
                          "hidden states side by side, the last of them `layer`; cls+mean takes the mean of the " \
                          "last alone, as DINOv2's linear evaluation does")                                       \
          .range(1, 1000)                                                                                         \
          .as(::nmlbench::Role::readout)

struct Readout {
  std::string pooling;
  std::int64_t first, last;  // hidden states, from 0 on
};

// The hidden states of one pass, as far as readouts want them.
class HiddenStates {
 public:
  explicit HiddenStates(const std::vector<Readout>& readouts) {
    for (const Readout& readout : readouts) {
      for (std::int64_t layer = readout.first; layer <= readout.last; ++layer) wanted_.insert(layer);
    }
  }

  // Offers the state `layer`; they come in ascending order. Whether a later one is wanted: else the pass may end.
  bool take(std::int64_t layer, const torch::Tensor& state) {
    if (wanted_.count(layer) > 0) states_[layer] = state;
    return layer < *wanted_.rbegin();
  }
  const torch::Tensor& at(std::int64_t layer) const { return states_.at(layer); }

 private:
  std::set<std::int64_t> wanted_;
  std::map<std::int64_t, torch::Tensor> states_;
};

class LayeredEncoder : public Encoder {
 public:
  // `name`: the plugin's, for messages.
  LayeredEncoder(const char* name, const Params& params) : name_(name), params_({params}) {}

  std::int64_t feature_dim() const final;
  std::int64_t feature_tokens() const final;
  void set_readouts(const std::vector<Params>& readouts) final;

 protected:
  const char* plugin_name() const { return name_; }
  // What features are. Throws Error for a layer that the network does not have.
  std::vector<Readout> readouts() const;
  // The readout of the pre-training head, whatever the features': the last hidden state.
  std::vector<Readout> of_head() const { return {{head_pooling(), last_layer(), last_layer()}}; }
  std::int64_t head_width() const { return width(last_layer()); }

  // Columns of a hidden state: the channels of its tokens or pixels.
  virtual std::int64_t width(std::int64_t layer) const = 0;
  virtual std::int64_t last_layer() const = 0;
  // Of a family with pooling = "tokens": those of a hidden state.
  virtual std::int64_t tokens(std::int64_t /*layer*/) const { return 1; }
  // What the pre-training head reads; `pooling = "head"` is the same.
  virtual std::string head_pooling() const = 0;

  // The readouts side by side, [B, their columns]. `pool`: the layer and a pooling ("cls", "mean", ..) -> [B, width()],
  // or ("tokens") [B, tokens() * width()].
  using Pool = std::function<torch::Tensor(std::int64_t layer, const std::string& pooling)>;
  static torch::Tensor read(const std::vector<Readout>& readouts, const Pool& pool);

 private:
  Readout readout_of(const Params& params) const;

  const char* name_;
  std::vector<Params> params_;  // of the readouts
};

}  // namespace nmlbench::plugins
