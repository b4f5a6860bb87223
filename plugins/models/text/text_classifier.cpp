#include "models/text/text_classifier.h"

#include "models/layers/full_precision.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>
#include <nmlbench/warning.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

// Tokens that are encoded at a time, padding included: on a CPU what a few layers make of them stays in the caches.
std::int64_t tokens_at_a_time(torch::Device device) {
  return device.is_cuda() ? 32768 : 2048;
}

TransformerShape shape_of(const std::map<std::string, TransformerShape>& variants, const Params& params) {
  TransformerShape shape = variants.at(params.text("variant"));
  if (params.integer("width") > 0) shape.width = params.integer("width");
  if (params.integer("depth") > 0) shape.depth = params.integer("depth");
  if (params.integer("heads") > 0) shape.heads = params.integer("heads");
  return shape;
}

// The sequences at `begin` up to `end` of the order, the last of them the longest.
TokenBatch token_batch(const std::vector<Sequence>& sequences, const std::int64_t* begin, const std::int64_t* end,
                       torch::Device device) {
  const std::int64_t b = end - begin;
  const auto n = static_cast<std::int64_t>(sequences[static_cast<std::size_t>(end[-1])].tokens.size());
  TokenBatch batch{
      torch::zeros({b, n}, torch::kInt64), torch::zeros({b, n}, torch::kInt64), {}, torch::empty({b}, torch::kInt64)};
  auto* tokens = dense_data<std::int64_t>(batch.tokens);
  auto* types = dense_data<std::int64_t>(batch.types);
  auto* lengths = dense_data<std::int64_t>(batch.lengths);
  for (std::int64_t row = 0; row < b; ++row) {
    const Sequence& sequence = sequences[static_cast<std::size_t>(begin[row])];
    std::copy(sequence.tokens.begin(), sequence.tokens.end(), tokens + row * n);
    lengths[row] = static_cast<std::int64_t>(sequence.tokens.size());
    std::fill(types + row * n + sequence.second, types + row * n + lengths[row], 1);
  }
  if (lengths[0] < n) batch.there = torch::arange(n) < batch.lengths.unsqueeze(1);
  for (Tensor* part : {&batch.tokens, &batch.types, &batch.there, &batch.lengths}) {
    if (part->defined()) *part = send(*part, device);
  }
  return batch;
}

Tensor mean_over_tokens(const Tensor& x, const TokenBatch& batch) {
  if (!batch.there.defined()) return x.mean(1);
  const Tensor there = batch.there.unsqueeze(-1).to(x.scalar_type());
  return (x * there).sum(1) / there.sum(1);
}

// x [B, N, D] -> [B, longest * D], zeros behind the end of a text.
Tensor all_tokens(const Tensor& x, const TokenBatch& batch, std::int64_t longest) {
  const Tensor there = batch.there.defined() ? x.masked_fill(batch.there.logical_not().unsqueeze(-1), 0) : x;
  return torch::constant_pad_nd(there, {0, 0, 0, longest - x.size(1)}).flatten(1);
}

// x [B, N, D], float -> [B, D].
Tensor pooled(const Tensor& x, const TokenBatch& batch, const std::string& pooling) {
  if (pooling == "cls") return x.select(1, 0);
  if (pooling == "mean") return mean_over_tokens(x, batch);
  if (pooling == "last-token") return x.index({torch::arange(x.size(0), x.device()), batch.lengths - 1});
  if (!batch.there.defined()) return x.amax(1);
  return x.masked_fill(batch.there.logical_not().unsqueeze(-1), -std::numeric_limits<double>::infinity()).amax(1);
}

}  // namespace

TextClassifier::TextClassifier(const char* name, const std::map<std::string, TransformerShape>& variants,
                               std::int64_t positions, const Params& params)
    : LayeredEncoder(name, params),
      shape_(shape_of(variants, params)),
      positions_(positions),
      vocab_(params.text("vocab")),
      weights_(params.text("weights")),
      pool_(params.text("pool")),
      longest_(params.integer("max_length")),
      dropout_(params.real("dropout")) {}

void TextClassifier::build(const InputInfo& input, const Stream& init) {
  const std::string name = plugin_name();
  require_texts(input, name);
  if (shape_.width % shape_.heads != 0) {
    throw Error(name + ": heads = " + std::to_string(shape_.heads) +
                " does not divide width = " + std::to_string(shape_.width));
  }
  if (longest_ > positions_) {
    throw Error(name + ": max_length = " + std::to_string(longest_) + ", and the model has " +
                std::to_string(positions_) + " positions");
  }
  tokenizer_ = open_tokenizer();
  frame_ = frame(*tokenizer_);
  add_layers(tokenizer_->size());
  if (weights_.empty()) {
    if (input.classes > 0) {
      head_ = register_module("classifier", torch::nn::Linear(head_width(), input.classes));
    }
    initialise(init);
    dropout_.build(*this, init);
    return;
  }
  load_weights(*this, weights_, renames(), [&](const std::string& tensor, const Tensor& theirs, torch::IntArrayRef) {
    if (tensor == word_embedding() && theirs.dim() == 2 && theirs.size(1) == shape_.width) {
      throw DataError(vocab_ + ": has " + std::to_string(tokenizer_->size()) + " tokens, and " + weights_ +
                      " has embeddings of " + std::to_string(theirs.size(0)) +
                      "; it has to be the weights' vocabulary");
    }
    return Tensor();
  });
}

InputSpec TextClassifier::input() const {
  InputSpec spec;
  spec.native = true;
  return spec;
}

Tensor TextClassifier::pretrain_logits(const Batch& batch) {
  if (head_.is_empty()) throw Error(std::string(plugin_name()) + " was built without pre-training classes");
  if (is_training()) dropout_.next_step();
  return head_(dropout_(encode(batch.texts, of_head())));
}

// Drop-out is drawn for the texts that are encoded at a time, of which another process has others.
std::string TextClassifier::data_parallel_obstacle() const {
  return dropout_.rate() > 0 ? "its drop-out is drawn for batches of one process; set dropout = 0" : "";
}

std::vector<Sequence> TextClassifier::sequences_of(const std::vector<Text>& texts) const {
  std::vector<Sequence> sequences;
  for (const Text& text : texts) {
    sequences.push_back(sequence_of(text, *tokenizer_, frame_, longest_));
    if (!sequences.back().truncated) continue;
    warn_once(std::string(plugin_name()) + ": texts of more than max_length = " + std::to_string(longest_) +
              " tokens are truncated");
  }
  return sequences;
}

Tensor TextClassifier::encode(const std::vector<Text>& texts, const std::vector<Readout>& readouts) {
  const std::vector<Sequence> sequences = sequences_of(texts);
  const auto length = [&](std::int64_t i) {
    return static_cast<std::int64_t>(sequences[static_cast<std::size_t>(i)].tokens.size());
  };
  std::vector<std::int64_t> order(sequences.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto left, auto right) { return length(left) < length(right); });

  const torch::Device device = parameters().front().device();
  std::vector<Tensor> parts;
  const std::int64_t* const end = order.data() + order.size();
  for (const std::int64_t* begin = order.data(); begin < end;) {
    const std::int64_t* stop = begin + 1;
    while (stop < end && (stop + 1 - begin) * length(*stop) <= tokens_at_a_time(device)) ++stop;
    const TokenBatch batch = token_batch(sequences, begin, stop, device);
    HiddenStates states(readouts);
    run(batch, states);
    parts.push_back(read(readouts, [&](std::int64_t layer, const std::string& pooling) {
      const Tensor x = at_least_float(states.at(layer));
      return pooling == "tokens" ? all_tokens(x, batch, longest_) : pooled(x, batch, pooling);
    }));
    begin = stop;
  }
  const Tensor places = torch::tensor(order, torch::kInt64).argsort();
  return torch::cat(parts).index_select(0, send(places, device));
}

}  // namespace nmlbench::plugins
