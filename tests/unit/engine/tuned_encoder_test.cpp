// Encoders while they are tuned, against plain PyTorch and peft (tests/golden/finetune); what moves, what stays, what
// is refused, and the weights in between.
#include "engine/tuned_encoder.h"

#include "engine/fine_tune.h"
#include "support/filled.h"
#include "support/plugins.h"
#include "support/small_encoder.h"

#include <nmlbench/dense.h>
#include <nmlbench/schedule.h>

#include <fstream>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/serialize.h>

namespace nmlbench::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kClasses = 5;

Values values_of(const json& object) {
  Values values;
  for (const auto& [key, value] : object.items()) {
    if (value.is_string()) values.emplace_back(key, value.get<std::string>());
    if (value.is_number_integer()) values.emplace_back(key, value.get<std::int64_t>());
    if (value.is_number_float()) values.emplace_back(key, value.get<double>());
    if (!value.is_array()) continue;
    std::vector<Value> list;
    for (const json& item : value) list.push_back({item.get<std::string>(), {"test", 0, 0, key}});
    values.emplace_back(key, list);
  }
  return values;
}

std::shared_ptr<Encoder> build(const std::string& plugin_name, Values values, SampleKind kind) {
  if (plugin_name == "bert") values.emplace_back("vocab", NMLBENCH_SOURCE_DIR "/tests/golden/text/vocab.txt");
  const auto encoder = make_encoder(plugin(PluginKind::encoder, plugin_name, values));
  encoder->build({kind, {}, 0}, Stream(0));
  fill(*encoder);
  return encoder;
}

LinearHead filled_head(std::int64_t dim) {
  return {filling("head.weight", torch::empty({kClasses, dim})), filling("head.bias", torch::empty({kClasses}))};
}

TunedEncoder::Options options_for(double lr, double weight_decay = 0) {
  TunedEncoder::Options options;
  options.optim.name = "adamw";
  options.optim.lr = lr;
  options.optim.weight_decay = weight_decay;
  return options;
}

Batch golden_batch(const json& golden, bool texts, std::int64_t step) {
  Batch batch;
  const auto rows = texts ? 4 : golden.at("images").get<std::int64_t>();
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < rows; ++i) labels.push_back((3 * step + 2 * i) % kClasses);
  batch.y = torch::tensor(labels);
  if (!texts) {
    const auto size = golden.at("size").get<std::int64_t>();
    batch.x = (4 * (uniform("images " + std::to_string(step), {rows, 3, size, size}) - 0.5))
                  .contiguous(torch::MemoryFormat::ChannelsLast);
    return batch;
  }
  const json& all = golden.at("texts");
  for (std::int64_t i = 0; i < rows; ++i) {
    batch.texts.push_back({all[static_cast<std::size_t>(step + i) % all.size()].get<std::string>(), {}});
  }
  return batch;
}

void expect_losses(const json& golden, const json& expected) {
  const bool texts = expected.at("encoder") == "bert";
  SCOPED_TRACE(expected.at("encoder").dump() + " " + expected.at("tuner").dump() + " " + expected.at("params").dump());
  const auto encoder = build(expected.at("encoder").get<std::string>(), values_of(expected.at("shape")),
                             texts ? SampleKind::text : SampleKind::image);
  const auto tuner = make_encoder_tuner(
      plugin(PluginKind::tuner, expected.at("tuner").get<std::string>(), values_of(expected.at("params"))));
  const auto lr = expected.at("lr").get<double>();
  TunedEncoder tuned(*encoder, *tuner, filled_head(encoder->feature_dim()),
                     options_for(lr, golden.at("weight_decay").get<double>()), golden_batch(golden, texts, 0),
                     Stream(1));
  for (const auto& [name, tensor] : tuned.trained()) {
    const torch::NoGradGuard no_grad;
    Tensor into = tensor;
    if (name.ends_with(".A")) into.copy_(filling(name, tensor));
  }
  const auto losses = expected.at("losses").get<std::vector<double>>();
  ASSERT_EQ(losses.size(), 20U);
  for (std::size_t step = 0; step < losses.size(); ++step) {
    const Batch batch = golden_batch(golden, texts, static_cast<std::int64_t>(step));
    const double rate = lr * cosine_annealing(static_cast<double>(step) / static_cast<double>(losses.size()));
    EXPECT_NEAR(tuned.step(batch, rate).item<double>() / losses[step], 1, 1e-5) << "step " << step;
  }
}

TEST(TunedEncoder, LosesWhatPlainPyTorchAndPeftLose) {
  std::ifstream in(NMLBENCH_SOURCE_DIR "/tests/golden/finetune/losses.json");
  const json golden = json::parse(in);
  ASSERT_EQ(golden.at("cases").size(), 10U);
  for (const json& expected : golden.at("cases")) expect_losses(golden, expected);
}

// ---- What moves

Batch small_batch(std::int64_t step = 0, std::int64_t rows = 16) {
  Batch batch;
  batch.y = Stream(7).at("y").at(step).integers({rows}, kClasses);
  batch.x = Stream(8).at("centres").normal({kClasses, 6}).index_select(0, batch.y) +
            0.3 * Stream(9).at("x").at(step).normal({rows, 6});
  return batch;
}

struct Fit {
  explicit Fit(const std::string& tuner_name, const Values& values = {}, bool batch_statistics = false)
      : tuner(make_encoder_tuner(plugin(PluginKind::tuner, tuner_name, values))) {
    TunedEncoder::Options options = options_for(0.01);
    options.batch_statistics = batch_statistics;
    options.keeps_first_weights = true;
    tuned = std::make_unique<TunedEncoder>(*encoder, *tuner, filled_head(8), options, small_batch(), Stream(1));
  }
  void train(int steps, int first = 0) const {
    for (int i = first; i < first + steps; ++i) tuned->step(small_batch(i), 0.01);
  }
  std::map<std::string, Tensor> weights() const {
    std::map<std::string, Tensor> all;
    for (const auto& item : encoder->named_parameters()) all[item.key()] = item.value().detach().clone();
    for (const auto& item : encoder->named_buffers()) all[item.key()] = item.value().detach().clone();
    return all;
  }

  std::shared_ptr<SmallEncoder> encoder = small_encoder();
  std::unique_ptr<EncoderTuner> tuner;
  std::unique_ptr<TunedEncoder> tuned;
};

// The names of what training has changed.
std::vector<std::string> changed_by(const Fit& fit) {
  const auto before = fit.weights();
  fit.train(3);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : fit.weights()) {
    if (!torch::equal(tensor, before.at(name))) names.push_back(name);
  }
  return names;
}

TEST(TunedEncoder, MovesWhatItsTunerSaysAndNothingElse) {
  const std::vector<std::string> all = {"blocks.mlp.fc1.bias", "blocks.mlp.fc1.weight",
                                        "blocks.mlp.fc2.bias", "blocks.mlp.fc2.weight",
                                        "norm.bias",           "norm.weight"};
  EXPECT_EQ(changed_by(Fit("full-finetune")), all) << "nor the head of pre-training, nor running statistics";
  EXPECT_EQ(changed_by(Fit("bitfit")),
            (std::vector<std::string>{"blocks.mlp.fc1.bias", "blocks.mlp.fc2.bias", "norm.bias"}));
  EXPECT_EQ(changed_by(Fit("lora")), (std::vector<std::string>{"blocks.mlp.fc1.weight", "blocks.mlp.fc2.weight"}));
  const Values one = values_of({{"targets", {"**.fc2.weight"}}});
  EXPECT_EQ(changed_by(Fit("lora", one)), (std::vector<std::string>{"blocks.mlp.fc2.weight"}));
  std::vector<std::string> with_statistics = all;
  with_statistics.insert(with_statistics.end(), {"norm.num_batches_tracked", "norm.running_mean", "norm.running_var"});
  std::sort(with_statistics.begin(), with_statistics.end());
  EXPECT_EQ(changed_by(Fit("full-finetune", {}, /*batch_statistics=*/true)), with_statistics);
}

// What other libraries exported: the file's own tensors move, and the module computes with them.
TEST(TunedEncoder, MovesAModelOfTorchScript) {
  const std::string file = NMLBENCH_SOURCE_DIR "/tests/golden/torchscript/tiny.pt";
  for (const char* name : {"full-finetune", "lora"}) {
    const auto encoder = make_encoder(plugin(PluginKind::encoder, "torchscript", {{"path", file}}));
    encoder->build({SampleKind::image, {3, 16, 16}, 0}, Stream(0));
    Values values;
    if (std::string(name) == "lora") values = values_of({{"targets", {"conv.weight"}}});
    const auto tuner = make_encoder_tuner(plugin(PluginKind::tuner, name, values));
    Batch batch;
    batch.y = torch::tensor({1, 3, 0, 2});
    batch.x = Stream(5).at("images").normal({4, 3, 16, 16}).contiguous(torch::MemoryFormat::ChannelsLast);
    TunedEncoder tuned(*encoder, *tuner, filled_head(encoder->feature_dim()), options_for(0.01), batch, Stream(1));
    const Tensor before = tuned.predict(batch, Precision::fp32).features.clone();
    const double first = tuned.step(batch, 0.01).item<double>();
    double last = first;
    for (int i = 0; i < 30; ++i) last = tuned.step(batch, 0.01).item<double>();
    EXPECT_LT(last, first - 0.05) << name;
    EXPECT_FALSE(torch::allclose(tuned.predict(batch, Precision::fp32).features, before, 1e-2)) << name;
  }
}

TEST(TunedEncoder, LowRankUpdatesHaveThatRank) {
  const Fit fit("lora", {{"rank", std::int64_t{2}}, {"alpha", 6.0}});
  const auto before = fit.weights();
  fit.train(5);
  const Tensor change = fit.weights().at("blocks.mlp.fc1.weight") - before.at("blocks.mlp.fc1.weight");
  const Tensor sigma = torch::linalg_svdvals(change);
  EXPECT_GT(sigma[1].item<float>(), 1e-4F);
  EXPECT_LT(sigma[2].item<float>(), 1e-6F);
  // merged: W0 + alpha / rank * B A
  std::map<std::string, Tensor> trained(fit.tuned->trained().begin(), fit.tuned->trained().end());
  const Tensor merged = 3 * trained.at("blocks.mlp.fc1.weight.B").mm(trained.at("blocks.mlp.fc1.weight.A"));
  EXPECT_TRUE(torch::allclose(change, merged, 1e-5, 1e-6));
}

TEST(TunedEncoder, GlobsStandForNames) {
  EXPECT_TRUE(names_parameter("**.mlp.fc1.weight", "blocks.3.mlp.fc1.weight"));
  EXPECT_TRUE(names_parameter("blocks.*.mlp.fc*.weight", "blocks.11.mlp.fc2.weight"));
  EXPECT_TRUE(names_parameter("**", "a.b.c"));
  EXPECT_TRUE(names_parameter("**.layer.*.output.dense.weight", "encoder.layer.0.output.dense.weight"));
  EXPECT_FALSE(names_parameter("**.layer.*.output.dense.weight", "encoder.layer.0.attention.output.dense.weight"));
  EXPECT_FALSE(names_parameter("blocks.*", "blocks.3.mlp"));
  EXPECT_FALSE(names_parameter("fc1.weight", "mlp.fc1.weight"));
  EXPECT_FALSE(names_parameter("", "a"));
}

std::string refusal(const std::string& tuner, const Values& values) {
  try {
    const Fit fit(tuner, values);
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

TEST(TunedEncoder, RefusesTargetsThatStandForNothingNamingWhatThereIs) {
  EXPECT_THAT(refusal("lora", values_of({{"targets", {"**.fc1.weight", "**.qkv.weight"}}})),
              AllOf(HasSubstr("targets: \"**.qkv.weight\" stands for no weight of the encoder; it has "),
                    HasSubstr("blocks.mlp.fc1.weight, blocks.mlp.fc2.weight")));
  EXPECT_THAT(refusal("lora", values_of({{"targets", {"head.weight"}}})), HasSubstr("stands for no weight"))
      << "features do not depend on it";
  EXPECT_THAT(refusal("lora", values_of({{"targets", {"norm.weight"}}})), HasSubstr("norm.weight, which is no matrix"));
  const auto vit = make_encoder_tuner(plugin(PluginKind::tuner, "lora"));
  const auto pixels = make_encoder(plugin(PluginKind::encoder, "pixels"));
  pixels->build({SampleKind::image, {3, 4, 4}, 0}, Stream(0));
  Batch batch;
  batch.x = torch::zeros({2, 3, 4, 4});
  EXPECT_THROW(TunedEncoder(*pixels, *vit, filled_head(48), options_for(0.01), batch, Stream(0)), Error);
}

// ---- The weights in between

Tensor logits_of(const Fit& fit) {
  return fit.tuned->predict(small_batch(99), Precision::fp32).logits;
}

TEST(TunedEncoder, GoesFromTheUntouchedWeightsToTheTunedOnes) {
  for (const char* name : {"full-finetune", "lora", "wise-ft"}) {
    for (const bool batch_statistics : {false, true}) {
      const Fit fit(name, {}, batch_statistics);
      const auto first = fit.weights();
      const Tensor before = logits_of(fit);
      fit.train(4);
      const auto last = fit.weights();
      const Tensor after = logits_of(fit);
      fit.tuned->go_to(0);
      EXPECT_TRUE(torch::equal(logits_of(fit), before)) << name;
      fit.tuned->go_to(0.25);
      for (const auto& [key, tensor] : fit.weights()) {
        if (!tensor.is_floating_point()) continue;
        EXPECT_TRUE(torch::allclose(tensor, 0.75 * first.at(key) + 0.25 * last.at(key), 1e-5, 1e-6)) << name << key;
      }
      fit.tuned->go_to(1);
      EXPECT_TRUE(torch::equal(logits_of(fit), after)) << name;
    }
  }
}

TEST(TunedEncoder, ResumesWithTheStepsItWouldHaveTaken) {
  for (const char* name : {"full-finetune", "bitfit", "lora"}) {
    const Fit whole(name, {}, true), first(name, {}, true), second(name, {}, true);
    whole.train(6);
    first.train(3);
    torch::serialize::OutputArchive archive;
    first.tuned->save(archive);
    const std::string bytes = bytes_of(archive);
    torch::serialize::InputArchive in = archive_of(bytes, torch::kCPU);
    second.tuned->load(in);
    second.train(3, 3);
    EXPECT_TRUE(torch::equal(logits_of(second), logits_of(whole))) << name;

    const Fit other("lora", {{"rank", std::int64_t{3}}});
    const Tensor before = logits_of(other);
    torch::serialize::InputArchive again = archive_of(bytes, torch::kCPU);
    EXPECT_THROW(other.tuned->load(again), std::exception) << name;
    EXPECT_TRUE(torch::equal(logits_of(other), before)) << "what it cannot read changes nothing";
  }
}

}  // namespace
}  // namespace nmlbench::testing
