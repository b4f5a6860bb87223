// Contrastive image-text pre-training: the loss against sums written out in float64, the text tower, the encoder.
#include "models/layers/info_nce.h"
#include "models/layers/text_transformer.h"
#include "support/plugins.h"

#include <nmlbench/compat.h>
#include <nmlbench/encoder.h>

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::plugins {
namespace {

using ::testing::HasSubstr;
using torch::Tensor;

Tensor draw(const char* name, torch::IntArrayRef sizes) {
  return Stream(21).at(name).normal(sizes).to(torch::kFloat64);
}

Tensor everyone(std::int64_t count) {
  return torch::ones({count}, torch::kBool);
}

// The definition, a sum at a time.
double written_out(const Tensor& image, const Tensor& text, double scale, const Tensor& paired) {
  const std::int64_t n = image.size(0);
  const auto cosine = [&](std::int64_t i, std::int64_t j) {
    return (image[i].dot(text[j]) / (image[i].norm() * text[j].norm())).item<double>();
  };
  double sum = 0;
  int pairs = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if (!paired[i].item<bool>()) continue;
    double by_image = 0, by_text = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      if (!paired[j].item<bool>()) continue;
      by_image += std::exp(scale * cosine(i, j));
      by_text += std::exp(scale * cosine(j, i));
    }
    sum += (std::log(by_image) + std::log(by_text)) / 2 - scale * cosine(i, i);
    ++pairs;
  }
  return sum / pairs;
}

double loss_of(const Tensor& image, const Tensor& text, double scale, const Tensor& paired) {
  return info_nce(image, text, torch::tensor(scale, image.options()), paired).item<double>();
}

TEST(InfoNce, EqualsItsDefinition) {
  const Tensor image = draw("image", {7, 5}), text = draw("text", {7, 5}), all = everyone(7);
  for (const double scale : {1.0, 14.3, 100.0}) {
    const double expected = written_out(image, text, scale, all);
    EXPECT_NEAR(loss_of(image, text, scale, all), expected, 1e-12 * expected);
    EXPECT_NEAR(loss_of(image.to(torch::kFloat32), text.to(torch::kFloat32), scale, all), expected, 1e-5 * expected);
  }
}

// n images that fit their own text alone: log(1 + (n - 1) exp(-scale)).
TEST(InfoNce, HasAClosedFormForOrthogonalPairs) {
  for (const double scale : {0.5, 3.0}) {
    const Tensor pairs = 4 * torch::eye(6, torch::kFloat64);  // lengths do not count
    EXPECT_NEAR(loss_of(pairs, pairs, scale, everyone(6)), std::log1p(5 * std::exp(-scale)), 1e-12);
  }
  const Tensor same = torch::ones({6, 3}, torch::kFloat64);
  EXPECT_NEAR(loss_of(same, same, 30, everyone(6)), std::log(6.0), 1e-12);
}

TEST(InfoNce, GradientsEqualFiniteDifferences) {
  const Tensor paired = torch::tensor({1, 1, 0, 1, 1}, torch::kBool);
  std::vector<Tensor> inputs = {draw("image", {5, 4}), draw("text", {5, 4}),
                                torch::full({}, 3.0, torch::dtype(torch::kFloat64))};
  for (Tensor& input : inputs) input.requires_grad_();
  const auto loss = [&] { return info_nce(inputs[0], inputs[1], inputs[2], paired); };
  loss().backward();
  for (Tensor& input : inputs) {
    const torch::NoGradGuard no_grad;
    Tensor values = input.view({-1});
    const Tensor gradient = input.grad().view({-1});
    for (std::int64_t i = 0; i < values.size(0); ++i) {
      constexpr double kStep = 1e-6;
      const double before = values[i].item<double>();
      values[i] = before + kStep;
      const double above = loss().item<double>();
      values[i] = before - kStep;
      const double below = loss().item<double>();
      values[i] = before;
      EXPECT_NEAR(gradient[i].item<double>(), (above - below) / (2 * kStep), 1e-8);
    }
  }
}

TEST(InfoNce, KnowsWhoBelongsToWhom) {
  const Tensor image = draw("image", {8, 16}), text = image + 0.3 * draw("text", {8, 16}), all = everyone(8);
  const Tensor order = Stream(1).permutation(8);
  const double own = loss_of(image, text, 10, all);
  EXPECT_NEAR(loss_of(image.index_select(0, order), text.index_select(0, order), 10, all), own, 1e-12);
  EXPECT_GT(loss_of(image, text.index_select(0, order), 10, all), own + 1);
}

TEST(InfoNce, WhoHasNoPartnerTakesNoPart) {
  const Tensor image = draw("image", {6, 4}), text = draw("text", {6, 4});
  const Tensor paired = torch::tensor({1, 0, 1, 1, 0, 1}, torch::kBool);
  const Tensor kept = paired.nonzero().view(-1);
  EXPECT_NEAR(loss_of(image, text, 14, paired),
              loss_of(image.index_select(0, kept), text.index_select(0, kept), 14, everyone(4)), 1e-12);
  Tensor x = image.clone().requires_grad_();
  info_nce(x, text, torch::tensor(14.0, torch::kFloat64), paired).backward();
  EXPECT_EQ(x.grad()[1].abs().max().item<double>(), 0);
  EXPECT_GT(x.grad()[2].abs().max().item<double>(), 0);
}

TEST(InfoNce, WithoutAnyPairItIsZeroAndHarmless) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    Tensor image = torch::zeros({3, 4}, type).requires_grad_();  // without a direction, too
    const Tensor loss = info_nce(image, torch::zeros({3, 4}, type), torch::tensor(100.0, type), ~everyone(3));
    EXPECT_EQ(loss.item<double>(), 0);
    loss.backward();
    EXPECT_TRUE(torch::equal(image.grad(), torch::zeros({3, 4}, type)));
  }
}

TEST(InfoNce, AutocastDoesNotRoundIt) {
  const Tensor image = draw("image", {9, 32}).to(torch::kFloat32), text = draw("text", {9, 32}).to(torch::kFloat32);
  const double expected = loss_of(image, text, 100, everyone(9));
  const AutocastGuard autocast(torch::kCPU, true);
  EXPECT_EQ(image.matmul(text.t()).scalar_type(), torch::kBFloat16);  // it would
  EXPECT_EQ(loss_of(image, text, 100, everyone(9)), expected);
}

std::vector<Text> texts(const std::vector<std::string>& captions) {
  std::vector<Text> texts;
  for (const std::string& caption : captions) texts.push_back({caption, {}});
  return texts;
}

// The words of one caption of a batch, as text.
std::vector<std::string> words(const std::vector<std::string>& captions, std::int64_t row, std::size_t most = 32) {
  const Tensor all = words_of(texts(captions), most);
  std::vector<std::string> result;
  for (std::int64_t w = 0; w < all.size(1); ++w) {
    std::string word;
    for (std::int64_t place = 0; place < all.size(2); ++place) {
      const auto token = all[row][w][place].item<std::int64_t>();
      if (token != 0) word += static_cast<char>(token - 1);
    }
    result.push_back(word);
  }
  return result;
}

TEST(WordsOf, CutsAtSpacesAndEveryEightBytes) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(words({"a red  kite ", ""}, 0), (Words{"a", "red", "kite"}));
  EXPECT_EQ(words({"a red  kite ", ""}, 1), (Words{"", "", ""}));
  EXPECT_EQ(words({" abcdefghijk l"}, 0), (Words{"abcdefgh", "ijk", "l"}));
  EXPECT_EQ(words({"abcdefgh", "a b c"}, 0), (Words{"abcdefgh", "", ""}));
  EXPECT_EQ(words({"one two three"}, 0, 2), (Words{"one", "two"}));
  EXPECT_EQ(words({"na\xc3\xafve"}, 0), (Words{"na\xc3\xafve"}));
  EXPECT_EQ(words({""}, 0), (Words{""}));
}

TEST(WordsOf, ReadsTheFirstBytesOfACaption) {
  const std::string long_one(kCaptionBytes - 3, ' ');
  EXPECT_EQ(words({long_one + "kite"}, 0), (std::vector<std::string>{"kit"}));
}

TextTransformer text_tower(TextShape shape = {16, 2, 4, 8}) {
  TextTransformer tower(shape);
  tower->initialise(Stream(5), "text");
  return tower;
}

TEST(TextTransformer, PaddingChangesNothing) {
  TextTransformer tower = text_tower();
  const torch::NoGradGuard no_grad;
  const Tensor two = tower(texts({"a small kite", "red"}));
  EXPECT_EQ(two.sizes(), torch::IntArrayRef({2, 16}));
  // alone, a shorter caption is padded with fewer words
  EXPECT_TRUE(torch::allclose(tower(texts({"red"}))[0], two[1], 1e-5, 1e-6));
}

TEST(TextTransformer, ReadsLettersWordsAndTheirOrder) {
  TextTransformer tower = text_tower();
  const torch::NoGradGuard no_grad;
  const std::vector<std::string> captions = {"red on blue", "blue on red", "der on blue", "red on", "red onb lue"};
  const Tensor features = tower(texts(captions));
  for (std::int64_t i = 0; i < features.size(0); ++i) {
    for (std::int64_t j = 0; j < i; ++j) {
      EXPECT_GT((features[i] - features[j]).norm().item<double>(), 1e-3)
          << captions[static_cast<std::size_t>(i)] << ", " << captions[static_cast<std::size_t>(j)];
    }
  }
}

TEST(TextTransformer, ReadsNoFurtherThanItsContext) {
  TextTransformer tower = text_tower({16, 2, 4, 2});
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(tower(texts({"red kite here"})), tower(texts({"red kite there"}))));
}

TEST(TextTransformer, AnEmptyCaptionIsZeroAndHarmless) {
  TextTransformer tower = text_tower();
  const Tensor features = tower(texts({"", "a kite"}));
  EXPECT_EQ(features[0].abs().max().item<float>(), 0);
  EXPECT_GT(features[1].abs().max().item<float>(), 0);
  tower(texts({"", ""})).sum().backward();
  features.square().sum().backward();
  for (const auto& item : tower->named_parameters()) {
    EXPECT_TRUE(torch::isfinite(item.value().grad()).all().item<bool>()) << item.key();
  }
}

std::shared_ptr<Encoder> built(const nmlbench::testing::Values& values = {}, std::int64_t classes = 5,
                               SampleKind kind = SampleKind::image_text) {
  nmlbench::testing::Values small = {{"width", std::int64_t{4}}, {"embedding", std::int64_t{8}}};
  small.insert(small.end(), values.begin(), values.end());
  const auto encoder = make_encoder(nmlbench::testing::plugin(PluginKind::encoder, "clip-tiny", small));
  encoder->build({kind, {3, 32, 32}, classes}, Stream(3));
  return encoder;
}

Batch pairs(const std::vector<std::string>& captions) {
  Batch batch;
  batch.x = Stream(8).normal({static_cast<std::int64_t>(captions.size()), 3, 32, 32});
  batch.texts = texts(captions);
  return batch;
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ClipTiny, WantsCaptionsOnlyToBePretrained) {
  EXPECT_THAT(error_of([] { built({}, 5, SampleKind::image); }), HasSubstr("the data have no captions"));
  EXPECT_EQ(error_of([] { built({}, 0, SampleKind::image); }), "no error");
  EXPECT_EQ(error_of([] { built({}, 5, SampleKind::image_text); }), "no error");
  EXPECT_THAT(error_of([] { built({}, 0, SampleKind::feature); }), HasSubstr("the data are features"));
  EXPECT_THAT(error_of([] { built({{"text_heads", std::int64_t{3}}}); }), HasSubstr("text_heads = 3"));
}

TEST(ClipTiny, EncodesImagesAlone) {
  const torch::NoGradGuard no_grad;
  Batch batch = pairs({"a kite", "a red one"});
  const auto embedding = built(), trunk = built({{"features", "trunk"}});
  embedding->eval();
  trunk->eval();
  const Tensor with = embedding->features(batch);
  batch.texts.clear();
  EXPECT_TRUE(torch::equal(embedding->features(batch), with));
  EXPECT_EQ(with.sizes(), torch::IntArrayRef({2, 8}));
  const Tensor pooled = trunk->features(batch);
  EXPECT_EQ(pooled.sizes(), torch::IntArrayRef({2, 16}));
  EXPECT_TRUE(torch::allclose(pooled.matmul(embedding->named_parameters()["image_projection"]), with, 1e-5, 1e-6));
  EXPECT_THAT(error_of([&] { embedding->pretrain_loss(batch); }), HasSubstr("no captions"));
}

// In evaluation mode, where images do not meet in batch norms: the loss is that of the rows with a caption.
TEST(ClipTiny, ARowWithoutACaptionIsLeftOut) {
  const torch::NoGradGuard no_grad;
  const auto encoder = built();
  encoder->eval();
  const Batch all = pairs({"a kite", "", "a red one", "long blue stripes"});
  Batch rest;
  rest.x = all.x.index_select(0, torch::tensor({0, 2, 3}));
  rest.texts = {all.texts[0], all.texts[2], all.texts[3]};
  EXPECT_NEAR(encoder->pretrain_loss(all).item<double>(), encoder->pretrain_loss(rest).item<double>(), 1e-5);
}

TEST(ClipTiny, SwappedCaptionsChangeTheLoss) {
  const torch::NoGradGuard no_grad;
  const auto encoder = built();
  const double own = encoder->pretrain_loss(pairs({"a kite", "a red one", "stripes"})).item<double>();
  EXPECT_EQ(encoder->pretrain_loss(pairs({"a kite", "a red one", "stripes"})).item<double>(), own);
  EXPECT_GT(std::abs(encoder->pretrain_loss(pairs({"a red one", "a kite", "stripes"})).item<double>() - own), 1e-4);
}

TEST(ClipTiny, StepsUnderAutocast) {
  const auto encoder = built({{"width", std::int64_t{16}}});
  const Batch batch = pairs({"a kite", "", "a red one", "long blue stripes", "round"});
  const double expected = encoder->pretrain_loss(batch).item<double>();
  Tensor loss;
  {
    const AutocastGuard autocast(torch::kCPU, true);
    loss = encoder->pretrain_loss(batch);
  }
  EXPECT_EQ(loss.scalar_type(), torch::kFloat32);
  EXPECT_NEAR(loss.item<double>(), expected, 0.05 * expected);
  loss.backward();
  for (const auto& item : encoder->named_parameters()) {
    EXPECT_TRUE(torch::isfinite(item.value().grad()).all().item<bool>()) << item.key();
  }
}

TEST(ClipTiny, TheTemperatureIsClamped) {
  const torch::NoGradGuard no_grad;
  const auto encoder = built();
  encoder->eval();
  const Batch batch = pairs({"a kite", "a red one", "stripes"});
  Tensor log_scale = encoder->named_parameters()["log_scale"];
  EXPECT_NEAR(log_scale.item<double>(), std::log(1 / 0.07), 1e-6);
  const auto loss_at = [&](double value) {
    log_scale.fill_(value);
    return encoder->pretrain_loss(batch).item<double>();
  };
  const double hottest = loss_at(std::log(100.0));
  EXPECT_NEAR(loss_at(9), hottest, 1e-5);
  EXPECT_GT(std::abs(loss_at(4) - hottest), 1e-3);
}

TEST(ClipTiny, EveryWeightComesFromItsStream) {
  torch::manual_seed(1);
  const auto one = built();
  torch::manual_seed(2);
  const auto two = built();
  for (const auto& item : one->named_parameters()) {
    EXPECT_TRUE(torch::equal(item.value(), two->named_parameters()[item.key()])) << item.key();
  }
}

}  // namespace
}  // namespace nmlbench::plugins
