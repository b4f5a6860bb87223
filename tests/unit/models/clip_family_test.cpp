// The CLIP family against open_clip (tests/golden/clip/reference.py), its names of weights, and what it refuses.
#include "support/filled.h"
#include "support/golden_json.h"
#include "support/plugins.h"
#include "support/safetensors.h"
#include "support/scratch.h"

#include <nmlbench/compat.h>
#include <nmlbench/encoder.h>
#include <nmlbench/error.h>

#include <cmath>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using torch::Tensor;

const std::string kMerges = NMLBENCH_SOURCE_DIR "/tests/golden/text/clip-merges.txt";

std::shared_ptr<Encoder> new_clip(const Values& values) {
  return make_encoder(plugin(PluginKind::encoder, "clip", values));
}

std::shared_ptr<Encoder> clip(const Values& values, std::int64_t classes = 2) {
  const auto encoder = new_clip(values);
  encoder->build({SampleKind::image_text, {3, 32, 32}, classes}, Stream(3));
  encoder->eval();
  return encoder;
}

Values tiny(Values more = {}) {
  more.emplace_back("variant", std::string("ViT-tiny"));
  return more;
}

Values of_entry(const json& entry, std::int64_t size, Values more = {}) {
  more.emplace_back("variant", entry.at("variant").get<std::string>());
  more.emplace_back("activation", entry.at("activation").get<std::string>());
  more.emplace_back("merges", kMerges);
  more.emplace_back("size", size);
  return more;
}

std::vector<Text> texts_in(const json& list) {
  std::vector<Text> texts;
  for (const json& text : list) texts.push_back({text.get<std::string>(), {}});
  return texts;
}

Batch two_images(std::int64_t size, std::vector<Text> texts = {}) {
  Batch batch;
  batch.x = (4 * (uniform("input" + std::to_string(size), {2, 3, size, size}) - 0.5))
                .contiguous(torch::MemoryFormat::ChannelsLast);
  batch.texts = std::move(texts);
  return batch;
}

Batch pairs_of(const std::vector<std::string>& captions) {
  Batch batch;
  batch.x = Stream(8).normal({static_cast<std::int64_t>(captions.size()), 3, 32, 32});
  for (const std::string& caption : captions) batch.texts.push_back({caption, {}});
  return batch;
}

void expect_close(const Tensor& got, const json& wanted) {
  const Tensor expected = torch::tensor(wanted.get<std::vector<double>>(), torch::kFloat64).view({got.size(0), -1});
  ASSERT_EQ(got.sizes(), expected.sizes());
  EXPECT_LE((got.to(torch::kFloat64) - expected).abs().max().item<double>() / expected.abs().max().item<double>(),
            1e-5);
}

// "a photo of a fox." and "the fox" for each class.
std::vector<std::vector<Text>> prompts_in(const json& golden) {
  std::vector<std::vector<Text>> prompts;
  for (const json& name : golden.at("classes")) {
    prompts.emplace_back();
    for (std::string prompt : golden.at("prompts").get<std::vector<std::string>>()) {
      prompts.back().push_back({prompt.replace(prompt.find("{}"), 2, name.get<std::string>()), {}});
    }
  }
  return prompts;
}

json clip_golden() {
  return golden_json("NMLBENCH_CLIP", NMLBENCH_SOURCE_DIR "/tests/golden/clip/expected.json");
}

TEST(Clip, EmbeddingsAndClassScoresEqualOpenClip) {
  const json golden = clip_golden();
  if (golden.is_discarded()) GTEST_SKIP() << "Python had no open_clip to make the references";
  const torch::NoGradGuard no_grad;
  ASSERT_GE(golden.at("compared").size(), 3U);
  for (const json& entry : golden.at("compared")) {
    for (const auto& [size_text, expected] : entry.at("sizes").items()) {
      SCOPED_TRACE(entry.at("variant").get<std::string>() + " " + size_text);
      const std::int64_t size = std::stoll(size_text);
      for (const std::string features : {"embedding", "trunk", "tokens"}) {
        const auto encoder = clip(of_entry(entry, size, {{"features", features}}));
        fill(*encoder);
        Tensor got = encoder->features(two_images(size));
        EXPECT_EQ(got.size(1), encoder->feature_dim());
        EXPECT_EQ(encoder->feature_tokens() > 1, features == "tokens");
        if (features == "tokens") {
          const Tensor tokens = got.view({2, encoder->feature_tokens(), -1});
          got = tokens.matmul(uniform("direction of tokens", {tokens.size(2)}) - 0.5);
        }
        expect_close(got, expected.at(features));
        expect_close(encoder->zero_shot(prompts_in(golden))(two_images(size)), expected.at("scores"));
      }
    }
  }
}

// In float64, as they stand there: normalised over few pixels float32 keeps few digits.
TEST(Clip, GradientsEqualThoseOfOpenClipsLoss) {
  const json golden = clip_golden();
  if (golden.is_discarded()) GTEST_SKIP() << "Python had no open_clip to make the references";
  for (const json& entry : golden.at("compared")) {
    const std::int64_t size = std::stoll(entry.at("sizes").items().begin().key());
    SCOPED_TRACE(entry.at("variant").get<std::string>());
    const auto encoder = clip(of_entry(entry, size));
    fill(*encoder);
    encoder->to(torch::kFloat64);
    encoder->train();
    Batch batch = two_images(size, texts_in(golden.at("texts")));
    batch.x = batch.x.to(torch::kFloat64);
    const Tensor loss = encoder->pretrain_loss(batch);
    EXPECT_NEAR(loss.item<double>(), entry.at("loss").get<double>(), 1e-6);
    loss.backward();
    const json& expected = entry.at("gradients");
    EXPECT_EQ(encoder->named_parameters().size(), expected.size());
    for (const auto& item : encoder->named_parameters()) {
      ASSERT_TRUE(expected.contains(item.key())) << item.key() << " is no tensor of open_clip's";
      const auto wanted = expected[item.key()].get<std::vector<double>>();
      const Tensor gradient = item.value().grad();
      const Tensor direction = uniform("direction " + item.key(), gradient.sizes()) - 0.5;
      const double tolerance = std::max(1e-4 * wanted[0], 1e-9);
      EXPECT_NEAR(gradient.norm().item<double>(), wanted[0], tolerance) << item.key();
      EXPECT_NEAR((gradient * direction).sum().item<double>(), wanted[1], tolerance) << item.key();
    }
  }
}

// Of every variant, with the tokens that there are without merges.
TEST(Clip, HasTheParametersOfOpenClipSlow) {
  const json golden = clip_golden();
  if (golden.is_discarded()) GTEST_SKIP() << "Python had no open_clip to make the references";
  ASSERT_EQ(golden.at("parameters").size(), 7U);
  for (const auto& [variant, count] : golden.at("parameters").items()) {
    std::int64_t parameters = 0;
    for (const Tensor& tensor : clip({{"variant", variant}})->parameters()) parameters += tensor.numel();
    EXPECT_EQ(parameters, count.get<std::int64_t>()) << variant;
  }
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Clip, RefusesWhatItCannotDo) {
  const auto build = [](const Values& values, SampleKind kind, std::int64_t classes) {
    return error_of([&] { new_clip(values)->build({kind, {3, 32, 32}, classes}, Stream(0)); });
  };
  EXPECT_THAT(build(tiny(), SampleKind::image, 5), HasSubstr("the data have no captions"));
  EXPECT_EQ(build(tiny(), SampleKind::image, 0), "no error");
  EXPECT_THAT(build(tiny(), SampleKind::text, 0), HasSubstr("clip encodes images, and the data are texts"));
  EXPECT_THAT(build(tiny({{"size", std::int64_t{30}}}), SampleKind::image, 0),
              HasSubstr("clip: size = 30 is no multiple of 8"));
  EXPECT_THAT(build({{"variant", std::string("RN-tiny")}, {"size", std::int64_t{40}}}, SampleKind::image, 0),
              HasSubstr("clip: size = 40 is no multiple of 32"));
  EXPECT_THAT(build(tiny({{"merges", std::string("/nowhere.txt")}}), SampleKind::image, 0),
              HasSubstr("/nowhere.txt: no such file"));
  EXPECT_THAT(error_of([] { clip(tiny())->pretrain_loss(two_images(32)); }), HasSubstr("no captions"));
  EXPECT_THAT(error_of([] { clip(tiny())->zero_shot({}); }), HasSubstr("it knows classes by their names alone"));
}

// In evaluation mode, where images do not meet in batch norms: the loss is that of the rows with a caption.
TEST(Clip, ARowWithoutACaptionIsLeftOut) {
  const torch::NoGradGuard no_grad;
  const auto encoder = clip(tiny());
  const Batch all = pairs_of({"a kite", "", "a red one", "long blue stripes"});
  Batch rest;
  rest.x = all.x.index_select(0, torch::tensor({0, 2, 3}));
  rest.texts = {all.texts[0], all.texts[2], all.texts[3]};
  EXPECT_NEAR(encoder->pretrain_loss(all).item<double>(), encoder->pretrain_loss(rest).item<double>(), 1e-5);
}

TEST(Clip, ReadsNoFurtherThanItsContext) {
  const torch::NoGradGuard no_grad;
  const auto encoder = clip(tiny({{"context", std::int64_t{7}}}));
  const auto loss = [&](const std::string& caption) {
    return encoder->pretrain_loss(pairs_of({caption, "one"})).item<double>();
  };
  EXPECT_EQ(loss("abcde"), loss("abcde and more"));  // five bytes between the marks; the fifth ends no word
  EXPECT_NE(loss("abcd"), loss("abcd and more"));
}

TEST(Clip, TheTemperatureIsClampedAsByOpenClip) {
  const auto encoder = clip(tiny());
  Tensor log_scale = encoder->named_parameters()["logit_scale"];
  EXPECT_NEAR(log_scale.item<double>(), std::log(1 / 0.07), 1e-6);
  for (const auto& [value, clamped] : {std::pair{9.0, std::log(100.0)}, {-1.0, 0.0}, {4.0, 4.0}}) {
    {
      const torch::NoGradGuard no_grad;
      log_scale.fill_(value);
    }
    encoder->pretrain_loss(pairs_of({"a kite", "a red one", "stripes"})).backward();
    EXPECT_NEAR(log_scale.item<double>(), clamped, 1e-6);
    EXPECT_NE(log_scale.grad().item<double>(), 0) << "it could not come back";
  }
}

TEST(Clip, EveryWeightComesFromItsStreamAndNoneIsLeft) {
  for (const char* variant : {"RN-tiny", "ViT-tiny"}) {
    torch::manual_seed(1);
    const auto one = clip({{"variant", std::string(variant)}});
    torch::manual_seed(2);
    const auto two = clip({{"variant", std::string(variant)}});
    for (const auto& item : one->named_parameters()) {
      EXPECT_TRUE(torch::equal(item.value(), two->named_parameters()[item.key()])) << item.key();
    }
  }
}

// open_clip's: the text tower normal, deviations by width; a residual block of convolutions begins as the identity.
TEST(Clip, WeightsAreDrawnAsByOpenClip) {
  const auto vit = clip({{"variant", std::string("ViT-tiny")}}), resnet = clip({{"variant", std::string("RN-tiny")}});
  const auto deviation = [](const std::shared_ptr<Encoder>& encoder, const char* name) {
    return encoder->named_parameters()[name].std().item<double>();
  };
  const double width = 1.0 / 8;  // 64^-1/2
  EXPECT_NEAR(deviation(vit, "token_embedding.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation(vit, "positional_embedding"), 0.01, 0.001);
  EXPECT_NEAR(deviation(vit, "transformer.resblocks.1.attn.in_proj_weight"), width, 0.01);
  EXPECT_NEAR(deviation(vit, "transformer.resblocks.0.attn.out_proj.weight"), width / 2, 0.005);
  EXPECT_NEAR(deviation(vit, "transformer.resblocks.0.mlp.c_proj.weight"), width / 2, 0.005);
  EXPECT_NEAR(deviation(vit, "transformer.resblocks.0.mlp.c_fc.weight"), width / std::sqrt(2.0), 0.005);
  EXPECT_NEAR(deviation(vit, "text_projection"), width, 0.01);
  EXPECT_NEAR(deviation(vit, "visual.proj"), width, 0.01);
  EXPECT_NEAR(deviation(vit, "visual.transformer.resblocks.0.attn.in_proj_weight"), std::sqrt(2.0 / 256), 0.005);
  EXPECT_NEAR(deviation(vit, "visual.transformer.resblocks.0.mlp.c_proj.weight"), 1 / std::sqrt(3 * 256.0), 0.002);
  EXPECT_NEAR(deviation(resnet, "visual.conv3.weight"), 1 / std::sqrt(3 * 72.0), 0.005);
  EXPECT_NEAR(deviation(resnet, "visual.attnpool.c_proj.weight"), 1 / std::sqrt(512.0), 0.002);
  EXPECT_NEAR(deviation(resnet, "visual.attnpool.q_proj.bias"), 1 / std::sqrt(3 * 512.0), 0.003);
  const auto weights = resnet->named_parameters();
  EXPECT_EQ(weights["visual.layer2.0.bn3.weight"].abs().max().item<float>(), 0);
  EXPECT_EQ(weights["visual.bn3.weight"].min().item<float>(), 1);
}

TEST(Clip, TrainsInBfloat16) {
  for (const char* variant : {"RN-tiny", "ViT-tiny"}) {
    Batch batch = pairs_of({"a kite", "", "a red one", "long blue stripes", "round"});
    if (variant[0] == 'R') batch.x = torch::upsample_nearest2d(batch.x, {64, 64});
    const auto loss_of = [&](bool bf16) {
      const auto encoder = clip({{"variant", std::string(variant)}});
      encoder->train();
      Tensor loss;
      {
        const AutocastGuard autocast(torch::kCPU, bf16);
        loss = encoder->pretrain_loss(batch);
      }
      EXPECT_EQ(loss.scalar_type(), torch::kFloat32);
      loss.backward();
      for (const auto& item : encoder->named_parameters()) {
        EXPECT_TRUE(torch::isfinite(item.value().grad()).all().item<bool>()) << item.key();
      }
      return loss.item<double>();
    };
    const double full = loss_of(false), half = loss_of(true);
    EXPECT_NEAR(half, full, 0.05 * full) << variant;
  }
}

// A tensor of open_clip's under the name and in the shape of transformers' CLIPModel.
void add_as_transformers(SafetensorsFile& file, const std::string& name, const Tensor& tensor) {
  const bool image = name.starts_with("visual.");
  const std::string tower = image ? "vision_model." : "text_model.", own = image ? name.substr(7) : name;
  static const std::map<std::string, std::string> names = {
      {"class_embedding", "embeddings.class_embedding"},
      {"conv1.weight", "embeddings.patch_embedding.weight"},
      {"ln_pre.weight", "pre_layrnorm.weight"},
      {"ln_pre.bias", "pre_layrnorm.bias"},
      {"ln_post.weight", "post_layernorm.weight"},
      {"ln_post.bias", "post_layernorm.bias"},
      {"ln_final.weight", "final_layer_norm.weight"},
      {"ln_final.bias", "final_layer_norm.bias"},
      {"token_embedding.weight", "embeddings.token_embedding.weight"},
      {"positional_embedding", "embeddings.position_embedding.weight"}};
  if (name == "logit_scale") return file.add(name, tensor);
  if (own == "proj") return file.add("visual_projection.weight", tensor.t());
  if (own == "text_projection") return file.add("text_projection.weight", tensor.t());
  if (const auto found = names.find(own); found != names.end()) return file.add(tower + found->second, tensor);
  const std::size_t number = std::string("transformer.resblocks.").size(), dot = own.find('.', number);
  const std::string layer = tower + "encoder.layers." + own.substr(number, dot - number) + ".";
  const std::string part = own.substr(dot + 1), kind = part.substr(part.find_last_of("._") + 1);
  if (part.starts_with("attn.in_proj")) {
    const char* const parts[] = {"q", "k", "v"};
    for (int i = 0; i < 3; ++i) {
      file.add(layer + "self_attn." + parts[i] + "_proj." + kind, tensor.chunk(3)[static_cast<std::size_t>(i)]);
    }
    return;
  }
  static const std::map<std::string, std::string> parts = {{"attn.out_proj", "self_attn.out_proj"},
                                                           {"ln_1", "layer_norm1"},
                                                           {"ln_2", "layer_norm2"},
                                                           {"mlp.c_fc", "mlp.fc1"},
                                                           {"mlp.c_proj", "mlp.fc2"}};
  file.add(layer + parts.at(part.substr(0, part.size() - kind.size() - 1)) + "." + kind, tensor);
}

Tensor scores_of(const std::shared_ptr<Encoder>& encoder) {
  const std::vector<std::vector<Text>> prompts = {{{"a dog", {}}}, {{"a cat", {}}, {"the cat", {}}}};
  return encoder->zero_shot(prompts)(two_images(32));
}

// Its own names are those of open_clip and OpenAI, whose files also hold three numbers.
TEST(Clip, WeightsComeUnderTheNamesOfOthers) {
  const Scratch scratch;
  const torch::NoGradGuard no_grad;
  const auto source = clip(tiny({{"merges", kMerges}}));
  fill(*source);
  for (const std::string others : {"OpenAI", "transformers"}) {
    SafetensorsFile file;
    for (const auto& item : source->named_parameters()) {
      if (others == "OpenAI") {
        file.add(item.key(), item.value());
      } else {
        add_as_transformers(file, item.key(), item.value());
      }
    }
    for (const char* extra : {"input_resolution", "context_length", "vocab_size"}) file.add(extra, torch::ones({}));
    file.add("vision_model.embeddings.position_ids", torch::zeros({1, 17}));
    const std::string path = scratch.write(others + ".safetensors", file.bytes());
    const auto whole = clip(tiny({{"merges", kMerges}, {"weights", path}}), 0);
    EXPECT_FALSE(whole->trainable());
    EXPECT_TRUE(torch::equal(whole->features(two_images(32)), source->features(two_images(32)))) << others;
    EXPECT_TRUE(torch::equal(scores_of(whole), scores_of(source))) << others;

    const auto images_alone = clip(tiny({{"weights", path}}), 0);
    EXPECT_TRUE(torch::equal(images_alone->features(two_images(32)), source->features(two_images(32)))) << others;
    EXPECT_EQ(images_alone->named_parameters().find("token_embedding.weight"), nullptr);
    EXPECT_THAT(error_of([&] { scores_of(images_alone); }), HasSubstr("give the `merges` of its weights"));

    const std::string fewer = scratch.write("merges.txt", "a b\n");
    EXPECT_THAT(error_of([&] {
                  clip(tiny({{"merges", fewer}, {"weights", path}}), 0);
                }),
                AllOf(HasSubstr("merges.txt: makes 515 tokens, and "), HasSubstr("has embeddings of 95")));
    EXPECT_THAT(error_of([&] {
                  clip({{"variant", std::string("RN-tiny")}, {"weights", path}}, 0);
                }),
                HasSubstr("does not fit this encoder"));
    // positions of patches are resampled for larger images
    EXPECT_EQ(clip(tiny({{"weights", path}, {"size", std::int64_t{48}}}), 0)->features(two_images(48)).size(0), 2);
  }
}

TEST(Clip, InputIsThatOfTheVariant) {
  const auto input_of = [](const Values& values) { return new_clip(values)->input(); };
  EXPECT_EQ(input_of({}).height, 224);
  EXPECT_EQ(input_of({}).mean, (std::vector<double>{0.48145466, 0.4578275, 0.40821073}));
  EXPECT_EQ(input_of({}).preprocessing->interpolation, "bicubic");
  EXPECT_EQ(input_of({}).preprocessing->crop_pct, 1.0);
  EXPECT_EQ(input_of(tiny()).width, 32);
  EXPECT_EQ(input_of(tiny({{"size", std::int64_t{64}}})).width, 64);
}

}  // namespace
}  // namespace nmlbench::testing
