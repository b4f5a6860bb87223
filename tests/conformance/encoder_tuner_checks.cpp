#include "conformance/subject.h"
#include "engine/fine_tune.h"
#include "support/small_encoder.h"
#include "support/tuning.h"

#include <nmlbench/encoder_tuner.h>

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace nmlbench::conformance {
namespace {

using testing::Blobs;
using testing::SmallEncoder;
using torch::Tensor;

constexpr std::int64_t kBlobClassesOfEncoder = 3;

struct FineTuned {
  std::shared_ptr<SmallEncoder> encoder = testing::small_encoder();
  std::map<std::string, Tensor> before;
  std::vector<float> loss;
  Tensor logits;  // [N, C]
};

std::map<std::string, Tensor> copies_of_weights(const SmallEncoder& encoder) {
  std::map<std::string, Tensor> copies;
  for (const auto& item : encoder.named_parameters()) copies[item.key()] = item.value().detach().clone();
  return copies;
}

Blobs easy_blobs() {
  return testing::make_blobs(9, 300, SmallEncoder::kIn, kBlobClassesOfEncoder, 0.2);
}

// Of the plugin, with a step size for few steps of a small encoder.
Params quick_params(const Subject& subject) {
  std::map<std::string, ParamValue> values = subject.plugin.params.values();
  values["lr"] = 0.01;
  return Params(values);
}

// On blobs, by the loop that the program has.
FineTuned fine_tuned(const Subject& subject, std::uint64_t seed) {
  FineTuned result;
  result.before = copies_of_weights(*result.encoder);
  const Blobs blobs = easy_blobs();
  const Stream draws(seed);
  const FineTuning how = read_fine_tuning(quick_params(subject), subject.plugin.where);
  const FineTuneRows rows{blobs.y.size(0), [&](const Tensor& places, const Stream&) {
                            Batch batch;
                            batch.x = blobs.x.index_select(0, places);
                            batch.y = blobs.y.index_select(0, places);
                            return batch;
                          }};
  Tensor frozen;
  {
    const torch::NoGradGuard no_grad;
    result.encoder->eval();
    frozen = result.encoder->features(rows.batch(torch::arange(rows.size), draws));
  }
  const StackRows training = testing::rows_of({{frozen, blobs.y}}, 1, kBlobClassesOfEncoder);
  const auto tuner = make_encoder_tuner(subject.plugin);
  const LinearHead head = tuner->first_head({1, 1, SmallEncoder::kDim, kBlobClassesOfEncoder}, draws,
                                            how.probes ? &training : nullptr, Context{});
  EXPECT_EQ(head.weight.sizes(), torch::IntArrayRef({kBlobClassesOfEncoder, SmallEncoder::kDim}));
  EXPECT_EQ(head.bias.sizes(), torch::IntArrayRef({kBlobClassesOfEncoder}));
  TunedEncoder::Options options;
  options.optim = how.optim;
  options.batch_statistics = how.batch_statistics;
  TunedEncoder tuned(*result.encoder, *tuner, head, options, rows.batch(torch::arange(2), draws), draws);
  result.loss = fine_tune(tuned, how, rows, draws, torch::kCPU).loss;
  result.logits = tuned.predict(rows.batch(torch::arange(rows.size), draws), Precision::fp32).logits;
  return result;
}

void the_same_draws_give_the_same_weights(const Subject& subject) {
  EXPECT_TRUE(torch::equal(fine_tuned(subject, 1).logits, fine_tuned(subject, 1).logits));
}

void weights_move_and_those_out_of_use_stay(const Subject& subject) {
  const FineTuned result = fine_tuned(subject, 1);
  std::int64_t moved = 0;
  for (const auto& [name, now] : copies_of_weights(*result.encoder)) {
    const bool same = torch::equal(now, result.before.at(name));
    if (name.rfind("head.", 0) == 0) {
      EXPECT_TRUE(same) << name << " is of pre-training, no feature depends on it";
    }
    moved += same ? 0 : 1;
  }
  EXPECT_GT(moved, 0) << "a tuner that moves no weight of the encoder is one of frozen features";
}

void learns_what_is_separable_from_the_encoder(const Subject& subject) {
  const FineTuned result = fine_tuned(subject, 1);
  ASSERT_EQ(static_cast<std::int64_t>(result.loss.size()), subject.plugin.params.integer("epochs"));
  EXPECT_LT(result.loss.back(), result.loss.front());
  EXPECT_GT((result.logits.argmax(1) == easy_blobs().y).to(torch::kFloat32).mean().item<float>(), 0.9F);
}

void the_share_of_tuned_weights_is_a_share(const Subject& subject) {
  const double share = make_encoder_tuner(subject.plugin)->tuned_share(subject.plugin.params);
  EXPECT_GE(share, 0);
  EXPECT_LE(share, 1);
}

}  // namespace

const std::vector<Check>& encoder_tuner_checks() {
  static const std::vector<Check> checks = {{"TheSameDrawsGiveTheSameWeights", the_same_draws_give_the_same_weights},
                                            {"WeightsMoveAndThoseOutOfUseStay", weights_move_and_those_out_of_use_stay},
                                            {"LearnsWhatIsSeparable", learns_what_is_separable_from_the_encoder},
                                            {"TheShareOfTunedWeightsIsAShare", the_share_of_tuned_weights_is_a_share}};
  return checks;
}

}  // namespace nmlbench::conformance
