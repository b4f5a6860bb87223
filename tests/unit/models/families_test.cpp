// Families of encoders against timm: features, gradients and numbers of parameters (tests/golden/families).
#include "support/filled.h"
#include "support/golden_json.h"
#include "support/plugins.h"
#include "support/scratch.h"

#include <nmlbench/compat.h>
#include <nmlbench/encoder.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using nlohmann::json;
using torch::Tensor;

constexpr std::int64_t kClasses = 5;

Batch images(std::int64_t size) {
  Batch batch;
  batch.x = (4 * (uniform("input" + std::to_string(size), {2, 3, size, size}) - 0.5))
                .contiguous(torch::MemoryFormat::ChannelsLast);
  batch.y = torch::tensor({1, 3});
  return batch;
}

ResolvedPlugin resolved(const json& entry, std::int64_t size, const Values& more = {}) {
  Values values = more;
  values.emplace_back("size", size);
  for (const auto& [key, value] : entry.at("params").items()) {
    if (value.is_string()) values.emplace_back(key, value.get<std::string>());
    if (value.is_boolean()) values.emplace_back(key, value.get<bool>());
    if (value.is_number_integer()) values.emplace_back(key, value.get<std::int64_t>());
  }
  return plugin(PluginKind::encoder, entry.at("plugin").get<std::string>(), values);
}

std::shared_ptr<Encoder> make(const json& entry, std::int64_t size, std::int64_t classes, const Values& more = {}) {
  const auto encoder = make_encoder(resolved(entry, size, more));
  encoder->build({SampleKind::image, {3, size, size}, classes}, Stream(0));
  return encoder;
}

// Layers and poolings, all in one pass.
void expect_readouts(const json& entry, std::int64_t size, Encoder& encoder, double tolerance) {
  const json& all = entry.at("readouts").at(std::to_string(size));
  std::vector<Params> readouts;
  for (const json& one : all) {
    readouts.push_back(resolved(entry, size,
                                {{"pooling", one.at("pooling").get<std::string>()},
                                 {"layer", one.at("layer").get<std::int64_t>()},
                                 {"layers", one.at("layers").get<std::int64_t>()}})
                           .params);
  }
  encoder.set_readouts(readouts);
  const Tensor together = encoder.features(images(size)).to(torch::kFloat64);
  EXPECT_EQ(together.size(1), encoder.feature_dim());
  std::int64_t column = 0;
  for (const json& expected : all) {
    SCOPED_TRACE(expected.at("pooling").get<std::string>() + " of " + expected.at("layers").dump() + " up to " +
                 expected.at("layer").dump());
    const auto columns = expected.at("columns").get<std::int64_t>();
    const Tensor got = together.slice(1, column, column + columns);
    column += columns;
    ASSERT_EQ(got.size(1), columns);
    const double largest = expected.at("largest");
    EXPECT_NEAR(got.abs().max().item<double>() / largest, 1, tolerance);
    const auto first = expected.at("first").get<std::vector<double>>();
    const Tensor wanted = torch::tensor(first, torch::kFloat64).view({2, -1});
    EXPECT_LE((got.slice(1, 0, wanted.size(1)) - wanted).abs().max().item<double>() / largest, tolerance);
    const Tensor products = got.mv(uniform("direction", {columns}).to(torch::kFloat64) - 0.5);
    const auto product = expected.at("products").get<std::vector<double>>();
    for (std::int64_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(products[i].item<double>(), product[static_cast<std::size_t>(i)],
                  tolerance * got[i].norm().item<double>());
    }
  }
  EXPECT_EQ(column, together.size(1));
}

void expect_features(const json& entry, double tolerance) {
  for (const auto& [size_text, expected] : entry.at("features").items()) {
    const torch::NoGradGuard no_grad;
    const std::int64_t size = std::stoll(size_text);
    const auto encoder = make(entry, size, /*classes=*/0);
    fill(*encoder);
    encoder->eval();
    const Tensor got = encoder->features(images(size));
    EXPECT_EQ(got.size(1), encoder->feature_dim());
    const auto first = expected.at("first").get<std::vector<double>>();
    const Tensor wanted = torch::tensor(first, torch::kFloat64).view({2, -1});
    const double error = (got.slice(1, 0, wanted.size(1)).to(torch::kFloat64) - wanted).abs().max().item<double>();
    EXPECT_LE(error / expected.at("largest").get<double>(), tolerance) << "at " << size << " px";
    EXPECT_NEAR(got.abs().max().item<double>() / expected.at("largest").get<double>(), 1, tolerance);
    expect_readouts(entry, size, *encoder, tolerance);
  }
}

// In float64, as they stand there: through 50 normalisations over so few pixels float32 keeps two digits.
void expect_gradients(const json& entry) {
  const std::int64_t size = entry.at("size");
  const auto encoder = make(entry, size, kClasses);
  fill(*encoder);
  encoder->to(torch::kFloat64);
  encoder->train();
  Batch batch = images(size);
  batch.x = batch.x.to(torch::kFloat64);
  const Tensor loss = encoder->pretrain_loss(batch);
  EXPECT_NEAR(loss.item<double>() / entry.at("loss").get<double>(), 1, 1e-4);
  loss.backward();
  const json& expected = entry.at("gradients");
  EXPECT_EQ(encoder->named_parameters().size(), expected.size());
  for (const auto& item : encoder->named_parameters()) {
    ASSERT_TRUE(expected.contains(item.key())) << item.key() << " is no tensor of timm's";
    const auto wanted = expected[item.key()].get<std::vector<double>>();
    const Tensor gradient = item.value().grad().to(torch::kFloat64);
    const Tensor direction = uniform("direction " + item.key(), gradient.sizes()) - 0.5;
    // where a constant is normalised away, a gradient is 0 but for rounding
    const double tolerance = std::max(1e-4 * wanted[0], 1e-12);
    EXPECT_NEAR(gradient.norm().item<double>(), wanted[0], tolerance) << item.key();
    EXPECT_NEAR((gradient * direction).sum().item<double>(), wanted[1], tolerance) << item.key();
  }
}

// Of all variants where the environment names a file.
json references() {
  return golden_json("NMLBENCH_FAMILIES", NMLBENCH_SOURCE_DIR "/tests/golden/families/expected.json");
}

void expect_equal_to_timm(const std::string& plugin, double tolerance = 1e-5) {
  int compared = 0;
  const json all = references();
  if (all.is_discarded()) GTEST_SKIP() << "Python had no timm to make the references";
  for (const auto& [name, entry] : all.items()) {
    if (entry.at("plugin") != plugin || !entry.contains("features")) continue;
    SCOPED_TRACE(name);
    expect_features(entry, tolerance);
    expect_gradients(entry);
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST(Families, ResNetEqualsTimm) {
  expect_equal_to_timm("resnet");
}

TEST(Families, VisionTransformerEqualsTimm) {
  expect_equal_to_timm("vit");
}

TEST(Families, ConvNextEqualsTimm) {
  expect_equal_to_timm("convnext");
}

TEST(Families, EfficientNetEqualsTimm) {
  expect_equal_to_timm("efficientnet");
}

// Features in float32, in which timm's own, of such weights, are 1.1e-5 off those in float64. Gradients are in float64.
TEST(Families, ResNetV2EqualsTimm) {
  expect_equal_to_timm("resnetv2", 2e-5);
}

TEST(Families, SwinTransformerEqualsTimm) {
  expect_equal_to_timm("swin");
}

// The other poolings, which timm's features vouch for, are those of the tokens. `first`: of them belong to no patch.
void expect_tokens(const json& entry, const std::vector<std::int64_t>& layers, std::int64_t first) {
  const torch::NoGradGuard no_grad;
  constexpr std::int64_t kSize = 64;
  const auto encoder = make(entry, kSize, /*classes=*/0);
  fill(*encoder);
  encoder->eval();
  const auto read = [&](const std::string& pooling, std::int64_t layer) {
    encoder->set_readouts({resolved(entry, kSize, {{"pooling", pooling}, {"layer", layer}}).params});
    return encoder->features(images(kSize));
  };
  for (const std::int64_t layer : layers) {
    SCOPED_TRACE(layer);
    const Tensor mean = read("mean", layer), max = read("max", layer);
    const Tensor flat = read("tokens", layer);
    EXPECT_EQ(flat.size(1), encoder->feature_dim());
    const std::int64_t count = encoder->feature_tokens();
    ASSERT_EQ(flat.size(1), count * mean.size(1));
    const Tensor tokens = flat.view({flat.size(0), count, -1}), patches = tokens.slice(1, first);
    EXPECT_TRUE(torch::allclose(patches.mean(1), mean, 1e-5, 1e-5));
    EXPECT_TRUE(torch::equal(patches.amax(1), max));
    if (first > 0) {
      EXPECT_TRUE(torch::allclose(tokens.select(1, 0), read("cls", layer), 1e-5, 1e-5));
    }
    read("mean", layer);
    EXPECT_EQ(encoder->feature_tokens(), 1);
  }
}

TEST(Families, TokensAreWhatTheOtherPoolingsPool) {
  expect_tokens({{"plugin", "vit"}, {"params", {{"variant", "vit_tiny"}}}}, {-1, 3}, 1);
  expect_tokens({{"plugin", "vit"}, {"params", {{"variant", "vit_tiny"}, {"registers", 2}}}}, {-1}, 1);
  expect_tokens({{"plugin", "swin"}, {"params", {{"variant", "swin_tiny"}}}}, {-1, 0, 1, 2}, 0);
}

// Why a readout is refused.
std::string refused_readout(const std::string& name, const Values& values) {
  const auto encoder = make({{"plugin", name}, {"params", json::object()}}, 64, 0, values);
  try {
    encoder->feature_dim();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Families, RefuseLayersThatAreNotThere) {
  const std::string resnet = "resnet: layer = 5, and there are the hidden states 0 to 4";
  EXPECT_EQ(refused_readout("resnet", {{"variant", std::string("resnet18")}, {"layer", std::int64_t{5}}}), resnet);
  EXPECT_EQ(refused_readout("efficientnet", {{"layer", std::int64_t{-10}}}),
            "efficientnet: layer = -10, and there are the hidden states 0 to 8");
  EXPECT_EQ(refused_readout(
                "vit", {{"variant", std::string("vit_tiny")}, {"layer", std::int64_t{2}}, {"layers", std::int64_t{4}}}),
            "vit: layers = 4 that end with the hidden state 2, and there are the hidden states 0 to 12");
  EXPECT_EQ(refused_readout("vit", {{"pooling", std::string("tokens")}, {"layers", std::int64_t{2}}}),
            "vit: pooling = \"tokens\" reads one hidden state; remove layers = 2");
}

// Gradients under autocast point where those of float32 do. In the two deepest, at their first step and on two images,
// rounding decides more: timm's own have a cosine of 0.64 (efficientnet) and 0.50 (resnetv2) there.
TEST(Families, TrainInBfloat16) {
  struct Case {
    const char *name, *variant;
    double cosine;
  };
  for (const auto& [name, variant, cosine] : {Case{"resnet", "resnet18", 0.99},
                                              {"vit", "vit_tiny", 0.99},
                                              {"convnext", "convnext_tiny", 0.99},
                                              {"efficientnet", "efficientnet_b0", 0.6},
                                              {"resnetv2", "resnetv2_50x1_bit", 0.45},
                                              {"swin", "swin_tiny", 0.99}}) {
    SCOPED_TRACE(name);
    const json entry = {{"plugin", name}, {"params", {{"variant", variant}}}};
    const auto encoder = make(entry, 64, kClasses);
    encoder->train();
    const auto gradient = [&](bool bf16) {
      encoder->zero_grad();
      Tensor loss;
      {
        const AutocastGuard autocast(torch::kCPU, bf16);
        loss = encoder->pretrain_loss(images(64));
      }
      loss.backward();
      std::vector<Tensor> all;
      for (const Tensor& tensor : encoder->parameters()) all.push_back(tensor.grad().flatten().clone());
      return torch::cat(all);
    };
    const Tensor full = gradient(false), half = gradient(true);
    EXPECT_GT(torch::cosine_similarity(full, half, 0).item<double>(), cosine);
    EXPECT_FALSE(torch::equal(full, half));
  }
}

InputSpec input_of(const std::string& name, const Values& values) {
  return make_encoder(plugin(PluginKind::encoder, name, values))->input();
}

// As timm.get_pretrained_cfg() states it, where the matrix does not.
TEST(Families, InputIsThatOfTheVariant) {
  const InputSpec b3 = input_of("efficientnet", {{"variant", std::string("tf_efficientnet_b3")}});
  EXPECT_EQ(b3.height, 300);
  EXPECT_EQ(b3.preprocessing->crop_pct, 0.904);
  EXPECT_EQ(b3.mean, (std::vector<double>{0.485, 0.456, 0.406}));
  EXPECT_EQ(input_of("efficientnet", {{"variant", std::string("efficientnet_b3")}}).width, 288);
  EXPECT_EQ(input_of("efficientnet", {{"variant", std::string("tf_efficientnet_lite0")}}).mean, std::vector{0.5});
  EXPECT_EQ(input_of("efficientnet", {{"size", std::int64_t{64}}}).height, 64);
  const InputSpec swin = input_of("swin", {{"window", std::int64_t{12}}});
  EXPECT_EQ(swin.height, 384);
  EXPECT_EQ(swin.preprocessing->crop_pct, 1.0);
  EXPECT_EQ(input_of("resnetv2", {}).height, 448);
  EXPECT_THROW(input_of("efficientnet", {{"size", std::int64_t{5}}}), Error);
  EXPECT_THROW(input_of("efficientnet", {{"crop_pct", 0.01}}), Error);
}

// Of every variant, with a head of 1,000 classes.
TEST(Families, HaveTheParametersOfTimmSlow) {
  const json all = references();
  if (all.is_discarded()) GTEST_SKIP() << "Python had no timm to make the references";
  for (const auto& [name, entry] : all.items()) {
    std::int64_t parameters = 0;
    for (const Tensor& tensor : make(entry, entry.at("size"), 1000)->parameters()) parameters += tensor.numel();
    EXPECT_EQ(parameters, entry.at("parameters").get<std::int64_t>()) << name;
  }
}

}  // namespace
}  // namespace nmlbench::testing
