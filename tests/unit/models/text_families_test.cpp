// Families of text encoders against transformers (tests/golden/text/families.py), and what they refuse.
#include "support/filled.h"
#include "support/golden_json.h"
#include "support/plugins.h"
#include "support/safetensors.h"
#include "support/scratch.h"

#include <nmlbench/compat.h>
#include <nmlbench/encoder.h>
#include <nmlbench/error.h>

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using torch::Tensor;

const std::string kGoldenText = NMLBENCH_SOURCE_DIR "/tests/golden/text/";
const char* const kTextFamilies[] = {"bert", "roberta", "gpt2"};

// With the small vocabulary; `values` win.
std::shared_ptr<Encoder> text_encoder(const std::string& family, Values values) {
  const auto has = [&](const char* key) {
    return std::any_of(values.begin(), values.end(), [&](const auto& value) { return value.first == key; });
  };
  if (!has("vocab")) values.emplace_back("vocab", kGoldenText + (family == "bert" ? "vocab.txt" : "vocab.json"));
  if (family != "bert") values.emplace_back("merges", kGoldenText + "merges.txt");
  return make_encoder(plugin(PluginKind::encoder, family, values));
}

Values small_shape(Values more = {}) {
  for (const auto& [key, value] : {std::pair<const char*, int>{"width", 48}, {"depth", 3}, {"heads", 4}}) {
    more.emplace_back(key, std::int64_t{value});
  }
  return more;
}

std::shared_ptr<Encoder> encoder_of(const std::string& family, const Values& values, std::int64_t classes = 0) {
  const auto encoder = text_encoder(family, values);
  encoder->build({SampleKind::text, {}, classes}, Stream(0));
  encoder->eval();
  return encoder;
}

Batch texts_of(const json& golden) {
  Batch batch;
  for (const json& pair : golden.at("texts")) {
    Text& text = batch.texts.emplace_back();
    text.first = pair[0].get<std::string>();
    if (!pair[1].is_null()) text.second = pair[1].get<std::string>();
  }
  batch.y = torch::tensor(golden.at("labels").get<std::vector<std::int64_t>>());
  return batch;
}

Batch three_texts() {
  Batch batch;
  batch.texts = {{"The quick brown fox jumps over the lazy dog", {}}, {"a", {}}, {"one two three", "four five six"}};
  batch.y = torch::tensor({1, 3, 0});
  return batch;
}

Tensor wanted(const json& entry) {
  return torch::tensor(entry.at("all").get<std::vector<double>>(), torch::kFloat64).view({3, -1});
}

void expect_close(const Tensor& got, const Tensor& wanted) {
  ASSERT_EQ(got.sizes(), wanted.sizes());
  EXPECT_LE((got.to(torch::kFloat64) - wanted).abs().max().item<double>() / wanted.abs().max().item<double>(), 1e-5);
}

json text_golden() {
  return golden_json("NMLBENCH_TEXT_FAMILIES", kGoldenText + "families.json");
}

// Three texts of three lengths, so that two are padded.
TEST(TextFamilies, FeaturesEqualTransformers) {
  const json golden = text_golden();
  if (golden.is_discarded()) GTEST_SKIP() << "Python had no transformers to make the references";
  const Batch batch = texts_of(golden);
  const torch::NoGradGuard no_grad;
  ASSERT_EQ(golden.at("compared").size(), 3U);
  for (const json& entry : golden.at("compared")) {
    const auto family = entry.at("plugin").get<std::string>();
    for (const auto& [layer, by_pooling] : entry.at("features").items()) {
      const auto features = [&](const std::string& pooling) {
        const auto encoder = encoder_of(family, small_shape({{"pooling", pooling}, {"layer", std::stoll(layer)}}));
        fill(*encoder);
        const Tensor got = encoder->features(batch);
        EXPECT_EQ(got.size(1), encoder->feature_dim());
        return got;
      };
      for (const auto& [pooling, expected] : by_pooling.items()) {
        SCOPED_TRACE(family + ", layer " + layer + ", " + pooling);
        expect_close(features(pooling), wanted(expected));
      }
      expect_close(features("cls+mean"), torch::cat({wanted(by_pooling.at("cls")), wanted(by_pooling.at("mean"))}, 1));
    }
    // the first two hidden states side by side, of which the second gives the mean
    const auto two = encoder_of(
        family, small_shape({{"pooling", "cls+mean"}, {"layer", std::int64_t{1}}, {"layers", std::int64_t{2}}}));
    fill(*two);
    const json &first = entry.at("features").at("0"), &second = entry.at("features").at("1");
    expect_close(two->features(batch),
                 torch::cat({wanted(first.at("cls")), wanted(second.at("cls")), wanted(second.at("mean"))}, 1));
  }
}

// The other poolings, which transformers' hidden states vouch for, are those of the tokens.
TEST(TextFamilies, TokensAreWhatTheOtherPoolingsPool) {
  const torch::NoGradGuard no_grad;
  const Batch batch = three_texts();
  for (const char* family : kTextFamilies) {
    for (const std::int64_t layer : {0, -1}) {
      SCOPED_TRACE(std::string(family) + ", layer " + std::to_string(layer));
      const auto read = [&](const std::string& pooling) {
        const auto encoder =
            encoder_of(family, small_shape({{"pooling", pooling}, {"layer", layer}, {"max_length", std::int64_t{40}}}));
        fill(*encoder);
        const Tensor got = encoder->features(batch);
        EXPECT_EQ(got.size(1), encoder->feature_dim());
        EXPECT_EQ(encoder->feature_tokens(), pooling == "tokens" ? 40 : 1);
        return got;
      };
      const Tensor tokens = read("tokens").view({3, 40, 48}), mean = read("mean"), max = read("max");
      EXPECT_TRUE(torch::equal(tokens.select(1, 0), read("cls")));
      const Tensor last = read("last-token");
      std::set<std::int64_t> lengths;
      for (std::int64_t i = 0; i < 3; ++i) {
        const std::int64_t length = tokens[i].ne(0).any(1).sum().item<std::int64_t>();
        lengths.insert(length);
        const Tensor own = tokens[i].slice(0, 0, length);
        EXPECT_TRUE(torch::allclose(own.mean(0), mean[i], 1e-5, 1e-5));
        EXPECT_TRUE(torch::equal(own.amax(0), max[i]));
        EXPECT_TRUE(torch::equal(own[length - 1], last[i]));
      }
      EXPECT_EQ(lengths.size(), 3U);
    }
  }
}

TEST(TextFamilies, GradientsEqualTransformers) {
  const json golden = text_golden();
  if (golden.is_discarded()) GTEST_SKIP() << "Python had no transformers to make the references";
  for (const json& entry : golden.at("compared")) {
    const auto encoder =
        encoder_of(entry.at("plugin").get<std::string>(), small_shape({{"dropout", 0.0}}), /*classes=*/5);
    fill(*encoder);
    encoder->to(torch::kFloat64);
    encoder->train();
    const Tensor loss = encoder->pretrain_loss(texts_of(golden));
    EXPECT_NEAR(loss.item<double>(), entry.at("loss").get<double>(), 1e-6);
    loss.backward();
    const json& expected = entry.at("gradients");
    EXPECT_EQ(encoder->named_parameters().size(), expected.size());
    for (const auto& item : encoder->named_parameters()) {
      ASSERT_TRUE(expected.contains(item.key())) << item.key() << " is no tensor of transformers'";
      const auto numbers = expected[item.key()].get<std::vector<double>>();
      const Tensor gradient = item.value().grad();
      const Tensor direction = uniform("direction " + item.key(), gradient.sizes()) - 0.5;
      // gradients that cancel (a shift of all keys changes nothing) are compared with those of the whole
      const double scale = std::max(numbers[0], 1e-6);
      EXPECT_NEAR(gradient.norm().item<double>(), numbers[0], 1e-4 * scale) << item.key();
      EXPECT_NEAR((gradient * direction).sum().item<double>(), numbers[1], 1e-4 * scale) << item.key();
    }
  }
}

// Of every variant, with a head of 1,000 classes.
TEST(TextFamilies, HaveTheParametersOfTransformersSlow) {
  const json golden = text_golden();
  if (golden.is_discarded()) GTEST_SKIP() << "Python had no transformers to make the references";
  ASSERT_EQ(golden.at("parameters").size(), 12U);
  for (const auto& [variant, entry] : golden.at("parameters").items()) {
    std::int64_t parameters = 0;
    const auto encoder = encoder_of(entry.at("plugin").get<std::string>(), {{"variant", variant}}, 1000);
    for (const Tensor& tensor : encoder->parameters()) parameters += tensor.numel();
    EXPECT_EQ(parameters, entry.at("count").get<std::int64_t>()) << variant;
  }
}

// Drawn from streams: the same again, and others in the next step.
TEST(TextFamilies, DropoutIsRepeatable) {
  const Batch batch = three_texts();
  for (const char* family : kTextFamilies) {
    const auto losses = [&](double dropout) {
      const auto encoder = encoder_of(family, small_shape({{"dropout", dropout}}), 5);
      encoder->train();
      std::vector<double> losses;
      for (int step = 0; step < 2; ++step) losses.push_back(encoder->pretrain_loss(batch).item<double>());
      return losses;
    };
    const auto first = losses(0.1), again = losses(0.1), none = losses(0.0);
    EXPECT_EQ(first, again) << family;
    EXPECT_NE(first[0], first[1]) << family;
    EXPECT_EQ(none[0], none[1]) << family;
    EXPECT_NE(none[0], first[0]) << family;
  }
}

TEST(TextFamilies, TrainInBfloat16OnTexts) {
  const Batch batch = three_texts();
  for (const char* family : kTextFamilies) {
    const auto encoder = encoder_of(family, small_shape({{"dropout", 0.1}}), 5);
    encoder->train();
    const double full = encoder->pretrain_loss(batch).item<double>();
    const auto other = encoder_of(family, small_shape({{"dropout", 0.1}}), 5);
    other->train();
    const AutocastGuard autocast(torch::kCPU, true);
    const Tensor half = other->pretrain_loss(batch);
    half.backward();
    EXPECT_NEAR(half.item<double>(), full, 0.05) << family;
  }
}

// Lengths from 1 word to more than max_length, an empty text, and more tokens than are encoded at a time.
TEST(TextFamilies, FeaturesComeInTheOrderOfTheTexts) {
  Batch all;
  for (int i = 0; i < 60; ++i) {
    std::string text;
    for (int word = 0; word < (i * 37) % 90; ++word) text += word % 3 == 0 ? "the " : "fox " + std::to_string(i) + " ";
    all.texts.push_back({text, i % 4 == 0 ? std::optional<std::string>("over the lazy dog") : std::nullopt});
  }
  const torch::NoGradGuard no_grad;
  for (const char* family : kTextFamilies) {
    const auto encoder = encoder_of(family, small_shape({{"pooling", std::string("mean")}}));
    const Tensor together = encoder->features(all);
    for (const std::size_t i : {0U, 1U, 17U, 36U, 59U}) {
      Batch one;
      one.texts = {all.texts[i]};
      EXPECT_TRUE(torch::allclose(encoder->features(one)[0], together[static_cast<std::int64_t>(i)], 1e-4, 1e-5))
          << family << " " << i;
    }
  }
}

template <typename Exception = Error>
std::string refused(const std::string& family, const Values& values, SampleKind kind = SampleKind::text) {
  try {
    const auto encoder = text_encoder(family, values);
    encoder->build({kind, {}, 0}, Stream(0));
    encoder->feature_dim();
  } catch (const Exception& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

TEST(TextFamilies, RefuseWhatTheyCannotDo) {
  EXPECT_THAT(refused("bert", {}, SampleKind::image), HasSubstr("bert encodes texts, and the data are images"));
  EXPECT_THAT(refused("gpt2", {}, SampleKind::feature), HasSubstr("gpt2 encodes texts, and the data are features"));
  EXPECT_THAT(refused("bert", small_shape({{"max_length", std::int64_t{513}}})),
              HasSubstr("bert: max_length = 513, and the model has 512 positions"));
  EXPECT_THAT(refused("roberta", small_shape({{"layer", std::int64_t{4}}})),
              HasSubstr("layer = 4, and there are the hidden states 0 to 3"));
  EXPECT_THAT(refused("gpt2", {{"width", std::int64_t{50}}}), HasSubstr("heads = 12 does not divide width = 50"));
  EXPECT_THAT(refused("bert", {{"vocab", kGoldenText + "merges.txt"}}),
              HasSubstr("merges.txt: has no token \"[UNK]\""));
}

// Under transformers' names: behind the family's prefix, with heads and buffers that are of no use here.
TEST(TextFamilies, WeightsComeUnderTheNamesOfTransformers) {
  const std::map<std::string, std::pair<std::string, std::vector<std::string>>> files = {
      {"bert",
       {"bert.",
        {"cls.predictions.bias", "classifier.weight", "bert.pooler.dense.weight", "bert.embeddings.position_ids"}}},
      {"roberta", {"roberta.", {"lm_head.dense.weight", "classifier.dense.bias", "roberta.embeddings.position_ids"}}},
      {"gpt2",
       {"transformer.",
        {"lm_head.weight", "score.weight", "transformer.h.2.attn.bias", "transformer.h.0.attn.masked_bias"}}}};
  const Batch batch = three_texts();
  const Scratch scratch;
  const torch::NoGradGuard no_grad;
  for (const auto& [family, names] : files) {
    for (const std::string& prefix : {std::string(), names.first}) {
      const auto source = encoder_of(family, small_shape());
      fill(*source);
      SafetensorsFile file;
      for (const auto& item : source->named_parameters()) {
        std::string name = prefix + item.key();
        if (family == "bert" && !prefix.empty() && name.ends_with("LayerNorm.weight")) {  // TensorFlow's
          name.replace(name.size() - 6, 6, "gamma");
        }
        file.add(name, item.value(), "F32");
      }
      for (const std::string& extra : names.second) file.add(extra, torch::zeros({2}), "F32");
      const std::string path = scratch.write(family + ".safetensors", file.bytes());
      const auto loaded = encoder_of(family, small_shape({{"weights", path}}));
      EXPECT_FALSE(loaded->trainable());
      EXPECT_TRUE(torch::equal(loaded->features(batch), source->features(batch))) << family << " " << prefix;

      Values other = small_shape({{"weights", path}});
      const std::string large = scratch.write("vocab.txt", read_text(kGoldenText + "vocab.txt") + "one\nmore\n");
      if (family == "bert") {
        other.emplace_back("vocab", large);
        EXPECT_THAT(refused<DataError>(family, other),
                    AllOf(HasSubstr("vocab.txt: has 422 tokens, and "), HasSubstr("has embeddings of 420;")));
      }
    }
  }
}

}  // namespace
}  // namespace nmlbench::testing
