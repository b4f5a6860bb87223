// Frozen features of a split under a checkpoint, computed once and kept in the cache.
#pragma once

#include "engine/pretrain.h"
#include "plan/plan.h"

namespace nmlbench {

struct EncodeTiming {
  double images = 0;
  double seconds = 0;
  double seconds_waited = 0;  // for samples to be read, the first ones included
  std::int64_t batch = 0;     // samples at a time
};

// Encodings (Plan::encodings) of one checkpoint, split and views, which differ in the readout: one pass makes them all.
using EncodingPass = std::vector<std::size_t>;
std::vector<EncodingPass> encoding_passes(const Plan& plan, const std::vector<std::size_t>& encodings);

// Encodes every sample of `split` in order, one view after the other, in evaluation mode, in batches of fixed size,
// halved while memory is short, and publishes the features [views * N, D] of each encoding. The views of a sample are
// the same for every encoder. Features are float32 whatever the precision of the network.
EncodeTiming encode_split(const Plan& plan, const EncodingPass& pass, Encoder& encoder, const SplitData& split,
                          const StageContext& context);

}  // namespace nmlbench
