#include "conformance/subject.h"
#include "engine/prepare.h"
#include "support/resize_mode.h"

#include <nmlbench/encoder.h>

#include <algorithm>

#include <gtest/gtest.h>
#include <torch/nn.h>
#include <torch/optim.h>

namespace nmlbench::conformance {
namespace {

constexpr std::int64_t kInputClasses = 5;

// An encoder built for images, or, when it refuses those, for image-text pairs, features or texts.
struct Built {
  std::shared_ptr<Encoder> encoder;
  InputInfo input;
};

Built build(const Subject& subject, std::uint64_t seed = 1) {
  const InputInfo inputs[] = {{SampleKind::image, {3, 32, 32}, kInputClasses},
                              {SampleKind::image_text, {3, 32, 32}, kInputClasses},
                              {SampleKind::feature, {20}, kInputClasses},
                              {SampleKind::text, {}, kInputClasses}};
  for (const InputInfo& input : inputs) {
    const auto encoder = make_encoder(subject.plugin);
    try {
      encoder->build(input, Stream(seed));
      return {encoder, input};
    } catch (const Error&) {
      if (input.kind == SampleKind::text) throw;
    }
  }
  return {};
}

// Sentences of words of random letters, of any length; every third one comes with a second.
std::vector<Text> make_texts(std::int64_t rows) {
  std::vector<Text> texts;
  for (std::int64_t i = 0; i < rows; ++i) {
    const torch::Tensor letters = Stream(5).at(i).integers({3 + i * 7 % 40}, 32);
    std::string sentence;
    for (std::int64_t k = 0; k < letters.size(0); ++k) {
      const auto letter = letters[k].item<std::int64_t>();
      sentence += letter < 26 ? static_cast<char>('a' + letter) : ' ';
    }
    texts.push_back({sentence, i % 3 == 2 ? std::optional("and " + sentence) : std::nullopt});
  }
  return texts;
}

// What encoding hands over: no targets and, whatever the encoder was trained on, no captions.
Batch make_batch(const Built& built, std::int64_t rows) {
  if (built.input.kind == SampleKind::text) {
    Batch batch;
    batch.texts = make_texts(rows);
    return batch;
  }
  const torch::Tensor samples = built.input.kind == SampleKind::feature
                                    ? Stream(3).normal({rows, 20})
                                    : Stream(3).integers({rows, 3, 32, 32}, 256).to(torch::kUInt8);
  Batch batch;
  batch.x = prepare(samples, built.encoder->input());
  return batch;
}

// What pre-training hands over.
Batch training_batch(const Built& built, std::int64_t rows) {
  Batch batch = make_batch(built, rows);
  batch.y = Stream(4).integers({rows}, kInputClasses);
  if (built.input.kind != SampleKind::image_text) return batch;
  batch.texts = make_texts(rows);
  for (Text& caption : batch.texts) caption.second.reset();
  return batch;
}

// Planning asks for it before build(), and hands it to data sets.
void the_input_is_known_from_the_parameters(const Subject& subject) {
  const InputSpec before = make_encoder(subject.plugin)->input(), after = build(subject).encoder->input();
  EXPECT_EQ(before.height, after.height);
  EXPECT_EQ(before.width, after.width);
  EXPECT_EQ(before.preprocessing.has_value(), after.preprocessing.has_value());
  if (!before.preprocessing) return;
  const Preprocessing& how = *before.preprocessing;
  EXPECT_EQ(before.height, before.width) << "photographs are brought to squares";
  EXPECT_TRUE(resize_mode(how.resize).has_value()) << how.resize;
  EXPECT_TRUE(how.interpolation == "bilinear" || how.interpolation == "bicubic") << how.interpolation;
  EXPECT_GT(how.crop_pct, 0.05);
  EXPECT_LE(how.crop_pct, 1.0);
}

void features_have_the_declared_dimension(const Subject& subject) {
  const Built built = build(subject);
  const torch::NoGradGuard no_grad;
  built.encoder->eval();
  const torch::Tensor features = built.encoder->features(make_batch(built, 6));
  EXPECT_EQ(features.sizes(), torch::IntArrayRef({6, built.encoder->feature_dim()}));
  EXPECT_TRUE(features.is_floating_point());
  EXPECT_TRUE(torch::isfinite(features).all().item<bool>());
}

void evaluation_does_not_depend_on_the_batch(const Subject& subject) {
  const Built built = build(subject);
  const torch::NoGradGuard no_grad;
  built.encoder->eval();
  const Batch batch = make_batch(built, 6);
  Batch one;
  if (batch.x.defined()) one.x = batch.x.slice(0, 2, 3);
  if (!batch.texts.empty()) one.texts = {batch.texts[2]};
  EXPECT_TRUE(torch::allclose(built.encoder->features(one)[0], built.encoder->features(batch)[2], 1e-4, 1e-5));
}

void equal_draws_are_equal_weights(const Subject& subject) {
  const Built one = build(subject), two = build(subject), other = build(subject, 2);
  bool differs = false;
  for (const auto& item : one.encoder->named_parameters()) {
    EXPECT_TRUE(torch::equal(item.value(), *two.encoder->named_parameters().find(item.key()))) << item.key();
    differs = differs || !torch::equal(item.value(), *other.encoder->named_parameters().find(item.key()));
  }
  EXPECT_TRUE(differs || !one.encoder->trainable()) << "another seed gives the same weights";
}

void gradients_reach_every_parameter(const Subject& subject) {
  const Built built = build(subject);
  if (!built.encoder->trainable()) GTEST_SKIP() << "nothing to train";
  built.encoder->train();
  const torch::Tensor loss = built.encoder->pretrain_loss(training_batch(built, 8));
  ASSERT_EQ(loss.dim(), 0);
  ASSERT_TRUE(torch::isfinite(loss).item<bool>());
  loss.backward();
  for (const auto& item : built.encoder->named_parameters()) {
    const torch::Tensor gradient = item.value().grad();
    ASSERT_TRUE(gradient.defined()) << item.key() << " takes no part in the loss";
    EXPECT_TRUE(torch::isfinite(gradient).all().item<bool>()) << item.key();
  }
}

// Recipes put another loss in its place, and the upstream accuracy is of the scores.
void the_loss_is_that_of_the_class_scores(const Subject& subject) {
  const Built built = build(subject);
  if (!built.encoder->trainable()) GTEST_SKIP() << "nothing to train";
  const torch::NoGradGuard no_grad;
  built.encoder->eval();
  const Batch batch = training_batch(built, 8);
  const torch::Tensor scores = built.encoder->pretrain_logits(batch);
  if (!scores.defined()) GTEST_SKIP() << "it has no class scores";
  ASSERT_EQ(scores.sizes(), (std::vector<std::int64_t>{8, built.input.classes}));
  EXPECT_NEAR(built.encoder->pretrain_loss(batch).item<double>(),
              torch::nn::functional::cross_entropy(scores, batch.y).item<double>(), 1e-5);
}

void training_lowers_the_loss(const Subject& subject) {
  const Built built = build(subject);
  if (!built.encoder->trainable()) GTEST_SKIP() << "nothing to train";
  built.encoder->train();
  const Batch batch = training_batch(built, 16);
  torch::optim::SGD optimizer(built.encoder->parameters(), torch::optim::SGDOptions(0.02).momentum(0.9));
  double first = 0, last = 0;
  for (int step = 0; step < 30; ++step) {
    optimizer.zero_grad();
    const torch::Tensor loss = built.encoder->pretrain_loss(batch);
    loss.backward();
    optimizer.step();
    last = loss.item<double>();
    if (step == 0) first = last;
  }
  EXPECT_LT(last, 0.9 * first);
}

void captions_are_read(const Subject& subject) {
  const Built built = build(subject);
  if (built.input.kind != SampleKind::image_text) GTEST_SKIP() << "needs no captions";
  const torch::NoGradGuard no_grad;
  built.encoder->train();
  Batch batch = training_batch(built, 8);
  const double own = built.encoder->pretrain_loss(batch).item<double>();
  std::rotate(batch.texts.begin(), batch.texts.begin() + 1, batch.texts.end());
  EXPECT_NE(built.encoder->pretrain_loss(batch).item<double>(), own) << "with the captions of other images";
}

// caption-drop leaves an empty text where a caption was.
void lost_captions_do_no_harm(const Subject& subject) {
  const Built built = build(subject);
  if (built.input.kind != SampleKind::image_text) GTEST_SKIP() << "needs no captions";
  built.encoder->train();
  for (const std::size_t lost : {1, 8}) {
    Batch batch = training_batch(built, 8);
    for (std::size_t i = 0; i < lost; ++i) batch.texts[i] = Text();
    const torch::Tensor loss = built.encoder->pretrain_loss(batch);
    EXPECT_TRUE(torch::isfinite(loss).item<bool>()) << lost << " of 8 captions lost";
    built.encoder->zero_grad();
    loss.backward();
    for (const auto& item : built.encoder->named_parameters()) {
      const torch::Tensor gradient = item.value().grad();
      EXPECT_TRUE(!gradient.defined() || torch::isfinite(gradient).all().item<bool>()) << item.key();
    }
  }
}

// The encoder's parameters with other values of Role::readout: another choice each, another number where it may be.
std::vector<Params> other_readouts(const Subject& subject) {
  std::vector<Params> others;
  const PluginEntry& entry = *subject.plugin.entry;
  for (const ParamSpec* spec = entry.params; spec != entry.params + entry.param_count; ++spec) {
    if (spec->role != Role::readout) continue;
    std::vector<ParamValue> values;
    if (spec->type == ParamType::choice) {
      for (const Value& choice : choices_of(*spec, {})) {
        const auto& text = std::get<std::string>(choice.data);
        if (text != subject.plugin.params.text(spec->name)) values.emplace_back(text);
      }
    } else if (spec->type == ParamType::integer) {
      const std::int64_t usual = subject.plugin.params.integer(spec->name);
      for (const std::int64_t value : {usual - 1, usual + 1}) {
        const auto number = static_cast<double>(value);
        if (number >= spec->min && number <= spec->max) values.emplace_back(value);
      }
    }
    for (const ParamValue& value : values) {
      auto all = subject.plugin.params.values();
      all[spec->name] = value;
      others.emplace_back(std::move(all));
    }
  }
  return others;
}

Built build_with(const Subject& subject, const Params& params) {
  Subject other = subject;
  other.plugin.params = params;
  return build(other);
}

// Of one pass, side by side, in every bit what an encoder made with each readout alone gives.
void one_pass_gives_several_readouts(const Subject& subject) {
  if (subject.plugin.readout.empty()) GTEST_SKIP() << "it has no parameter of Role::readout";
  const Built built = build(subject);
  const torch::NoGradGuard no_grad;
  built.encoder->eval();
  const Batch batch = make_batch(built, 6);
  std::vector<torch::Tensor> alone = {built.encoder->features(batch)};
  std::vector<Params> readouts = {subject.plugin.params};
  for (const Params& params : other_readouts(subject)) {
    const Built other = build_with(subject, params);
    other.encoder->eval();
    alone.push_back(other.encoder->features(batch));
    EXPECT_EQ(alone.back().size(1), other.encoder->feature_dim());
    EXPECT_EQ(other.encoder->feature_dim() % other.encoder->feature_tokens(), 0);
    readouts.push_back(params);
  }
  ASSERT_GT(readouts.size(), 1U) << "no other value of a readout was found to try";
  built.encoder->set_readouts(readouts);
  const torch::Tensor together = built.encoder->features(batch);
  EXPECT_EQ(together.size(1), built.encoder->feature_dim());
  EXPECT_TRUE(torch::equal(together, torch::cat(alone, 1)));
}

// Checkpoints are shared by all readouts.
void readouts_leave_weights_and_training_alone(const Subject& subject) {
  if (subject.plugin.readout.empty()) GTEST_SKIP() << "it has no parameter of Role::readout";
  const Built built = build(subject);
  if (!built.encoder->trainable()) GTEST_SKIP() << "nothing to train";
  const torch::NoGradGuard no_grad;
  built.encoder->train();
  const double loss = built.encoder->pretrain_loss(training_batch(built, 8)).item<double>();
  for (const Params& params : other_readouts(subject)) {
    const Built other = build_with(subject, params);
    const auto mine = built.encoder->named_parameters(), others = other.encoder->named_parameters();
    ASSERT_EQ(mine.size(), others.size());
    for (const auto& item : mine) EXPECT_EQ(item.value().sizes(), others.find(item.key())->sizes()) << item.key();
    other.encoder->train();
    EXPECT_EQ(other.encoder->pretrain_loss(training_batch(other, 8)).item<double>(), loss);
  }
}

}  // namespace

const std::vector<Check>& encoder_checks() {
  static const std::vector<Check> checks = {
      {"TheInputIsKnownFromTheParameters", the_input_is_known_from_the_parameters},
      {"FeaturesHaveTheDeclaredDimension", features_have_the_declared_dimension},
      {"EvaluationDoesNotDependOnTheBatch", evaluation_does_not_depend_on_the_batch},
      {"OnePassGivesSeveralReadouts", one_pass_gives_several_readouts},
      {"ReadoutsLeaveWeightsAndTrainingAlone", readouts_leave_weights_and_training_alone},
      {"EqualDrawsAreEqualWeights", equal_draws_are_equal_weights},
      {"GradientsReachEveryParameter", gradients_reach_every_parameter},
      {"TheLossIsThatOfTheClassScores", the_loss_is_that_of_the_class_scores},
      {"TrainingLowersTheLoss", training_lowers_the_loss},
      {"CaptionsAreRead", captions_are_read},
      {"LostCaptionsDoNoHarm", lost_captions_do_no_harm}};
  return checks;
}

}  // namespace nmlbench::conformance
