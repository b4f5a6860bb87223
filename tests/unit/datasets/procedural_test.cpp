#include "datasets/procedural/elementary.h"
#include "support/datasets.h"

#include <nmlbench/digest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using torch::Tensor;
using Opened = testing::OpenedDataset;

Opened open(const testing::Values& values) {
  return Opened("procedural", values);
}

std::vector<std::string> captions_of(const Opened& split, const std::vector<std::int64_t>& rows) {
  std::vector<std::string> captions;
  for (const Text& text : split.dataset->texts(torch::tensor(rows, torch::kInt64))) captions.push_back(text.first);
  return captions;
}

std::vector<std::int64_t> first(std::int64_t count) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

TEST(Procedural, ASampleIsTheSameAloneInABatchAndInAnotherObject) {
  const Opened one = open({}), two = open({});
  const Tensor batch = one.at({0, 5, 77, 300});
  EXPECT_EQ(batch.sizes(), torch::IntArrayRef({4, 3, 32, 32}));
  EXPECT_EQ(batch.scalar_type(), torch::kUInt8);
  EXPECT_TRUE(torch::equal(two.at({77})[0], batch[2]));
  EXPECT_TRUE(torch::equal(one.at({300, 77, 5})[1], batch[2]));
}

TEST(Procedural, MoreSamplesDoNotMoveTheFirstOnes) {
  EXPECT_TRUE(torch::equal(open({{"per_class", std::int64_t{10}}}).at({3, 40}),
                           open({{"per_class", std::int64_t{500}}}).at({3, 40})));
}

TEST(Procedural, SplitsDomainsSeedsAndTasksDiffer) {
  const Tensor base = open({}).at({0});
  for (const testing::Values& values : std::initializer_list<testing::Values>{
           {{"split", "test"}}, {{"domain", "sketch"}}, {{"seed", std::int64_t{1}}}, {{"task", "few"}}}) {
    EXPECT_FALSE(torch::equal(open(values).at({0}), base));
    EXPECT_NE(open(values).dataset->digest(), open({}).dataset->digest());
  }
  EXPECT_EQ(open({}).dataset->digest(), open({}).dataset->digest());
}

TEST(Procedural, EveryDomainLooksDifferent) {
  std::set<std::int64_t> sums;
  for (const char* domain : {"photo", "sketch", "painting", "clipart", "negative", "corrupted", "silhouette"}) {
    const Opened split = open({{"domain", domain}});
    EXPECT_EQ(split.info.domain, domain);
    sums.insert(split.at({0, 1, 2, 3}).to(torch::kInt64).sum().item<std::int64_t>());
  }
  EXPECT_EQ(sums.size(), 7U);
}

TEST(Procedural, LabelsAreBalancedInEveryPrefix) {
  const Opened split = open({{"task", "shape"}, {"per_class", std::int64_t{30}}});
  const Tensor labels = split.dataset->labels();
  EXPECT_EQ(split.info.classes, 10);
  EXPECT_EQ(labels.size(0), 300);
  EXPECT_TRUE((torch::bincount(labels.slice(0, 0, 100)) == 10).all().item<bool>());
}

TEST(Procedural, AMixDrawsTheAskedShareInOtherDomains) {
  const testing::Values pure = {{"split", "pretrain"}, {"classes", std::int64_t{20}}, {"per_class", std::int64_t{20}}};
  testing::Values mixed = pure;
  mixed.emplace_back("mix", 0.25);
  const Tensor all = torch::arange(400);
  const Tensor a = open(pure).dataset->samples(all, torch::kCPU), b = open(mixed).dataset->samples(all, torch::kCPU);
  const auto changed = (a != b).flatten(1).any(1).sum().item<std::int64_t>();
  EXPECT_GT(changed, 65);  // 100 expected, four deviations
  EXPECT_LT(changed, 135);
}

TEST(Procedural, ValidationHasOtherSamplesOfThePreTrainingClasses) {
  const auto values = [](const char* split) {
    return testing::Values{{"split", split}, {"classes", std::int64_t{6}}, {"per_class", std::int64_t{5}}};
  };
  const Opened pretrain = open(values("pretrain")), validation = open(values("validation"));
  EXPECT_EQ(validation.info.class_names, pretrain.info.class_names);
  EXPECT_EQ(validation.labels(), pretrain.labels());
  const Tensor ours = validation.all(), theirs = pretrain.all();
  for (std::int64_t i = 0; i < 30; ++i) EXPECT_FALSE(torch::equal(ours[i], theirs[i])) << i;
}

// Pixels are part of what an identity stands for: the same in every bit with every LibTorch, library and processor.
TEST(Procedural, PixelsAreTheSameEverywhere) {
  Digest digest;
  const auto add = [&](const testing::Values& values) {
    const Tensor pixels = open(values).all();
    digest.update(pixels.data_ptr<std::uint8_t>(), static_cast<std::size_t>(pixels.numel()));
  };
  for (const char* domain : {"photo", "sketch", "painting", "clipart", "negative", "corrupted", "silhouette"}) {
    add({{"split", "test"}, {"domain", domain}, {"per_class", std::int64_t{20}}});
  }
  add({{"task", "shape"}, {"size", std::int64_t{17}}, {"rotation", 3.1}, {"per_class", std::int64_t{20}}});
  add({{"split", "pretrain"}, {"mix", 0.5}, {"seed", std::int64_t{5}}, {"per_class", std::int64_t{10}}});
  EXPECT_EQ(digest.hex(), "ac045ad97cbc6a195698288e057a1c98");

  Digest told;
  for (const char* domain : {"photo", "painting", "negative"}) {
    const Opened pairs = open({{"domain", domain}, {"captions", true}});
    const std::vector<std::string> captions = captions_of(pairs, first(pairs.info.size));
    std::size_t longest = 0;
    for (const std::string& caption : captions) longest = std::max(longest, caption.size());
    for (const std::string& caption : captions) {  // as the numbers that they once were: bytes + 1, padded with 0
      std::vector<std::int64_t> numbers(longest);
      std::transform(caption.begin(), caption.end(), numbers.begin(), [](char c) { return c + 1; });
      told.update(numbers.data(), numbers.size() * sizeof numbers[0]);
    }
  }
  EXPECT_EQ(told.hex(), "681f63e1abd2748ded3b2949fd659707");
}

TEST(Procedural, ElementaryFunctionsAreThoseOfTheLibrary) {
  using namespace plugins::elementary;
  for (int i = -200'000; i <= 200'000; ++i) {
    const float x = static_cast<float>(i) * 1e-4F;  // in [-20, 20]
    const double turn = 2 * std::numbers::pi * x;
    ASSERT_NEAR(sine_of_turns(x), std::sin(turn), 3e-7) << x;
    ASSERT_NEAR(cosine_of_turns(x), std::cos(turn), 3e-7) << x;
    ASSERT_NEAR(exponential(x) / std::exp(static_cast<double>(x)), 1, 3e-6) << x;
    ASSERT_NEAR(sigmoid(x), 1 / (1 + std::exp(-static_cast<double>(x))), 2e-7) << x;
    ASSERT_NEAR(hyperbolic_tangent(x), std::tanh(static_cast<double>(x)), 3e-7) << x;
  }
  const float large = std::numeric_limits<float>::max();
  EXPECT_EQ(sigmoid(large), 1);
  EXPECT_NEAR(sigmoid(-large), 0, 1e-30);
  EXPECT_NEAR(exponential(-large), 0, 1e-30);
}

// Digests of results that people have: data without captions stay what they were before there were any.
TEST(Procedural, CaptionsLeaveImagesAndDigestsAlone) {
  EXPECT_EQ(open({}).dataset->digest(), "0b83ff95ba077b5c2642bc22a7f09999");
  EXPECT_EQ(open({{"split", "pretrain"}, {"mix", 0.25}}).dataset->digest(), "87911791029667512b670a768ce027f5");
  const testing::Values plain = {{"split", "pretrain"}, {"mix", 0.5}};
  testing::Values told = plain;
  told.emplace_back("captions", true);
  const Opened without = open(plain), with = open(told);
  EXPECT_EQ(without.info.kind, SampleKind::image);
  EXPECT_EQ(with.info.kind, SampleKind::image_text);
  EXPECT_NE(with.dataset->digest(), without.dataset->digest());
  const Tensor some = torch::arange(200);
  const Tensor images = with.dataset->samples(some, torch::kCPU);
  EXPECT_TRUE(torch::equal(images, without.dataset->samples(some, torch::kCPU)));
  EXPECT_THROW(without.dataset->texts(some), Error);
  // The scenes of revision 1, whose sines were LibTorch's: a few of the 614,400 pixels have a neighbouring value.
  const Tensor pixels = images.flatten().to(torch::kFloat64), place = torch::arange(1, images.numel() + 1);
  EXPECT_NEAR(pixels.sum().item<double>(), 84390763, 20);
  EXPECT_NEAR((pixels * place).sum().item<double>() / static_cast<double>(images.numel()), 42000089, 20);
}

Opened captioned(testing::Values values) {
  values.emplace_back("captions", true);
  values.emplace_back("per_class", std::int64_t{30});
  return open(values);
}

TEST(Procedural, CaptionsDifferWithinAClassAndMostNameIt) {
  const Opened split = captioned({{"split", "pretrain"}, {"classes", std::int64_t{4}}});
  const std::vector<std::string> captions = captions_of(split, first(120));
  for (std::size_t c = 0; c < 4; ++c) {
    std::set<std::string> different;
    std::map<std::string, int> words;
    for (std::size_t i = c; i < captions.size(); i += 4) {
      different.insert(captions[i]);
      std::istringstream in(captions[i]);
      std::set<std::string> once{std::istream_iterator<std::string>(in), {}};
      for (const std::string& word : once) ++words[word];
    }
    EXPECT_GT(different.size(), 20U);
    // one word stands in five of six captions of its class and in none of another
    bool named = false;
    for (const auto& [word, count] : words) {
      const auto elsewhere = [&, name = &word](std::size_t i) {
        return i % 4 != c && (" " + captions[i] + " ").find(" " + *name + " ") != std::string::npos;
      };
      bool alone = count >= 18 && count < 30;
      for (std::size_t i = 0; i < captions.size() && alone; ++i) alone = !elsewhere(i);
      named = named || alone;
    }
    EXPECT_TRUE(named) << captions[c];
  }
}

TEST(Procedural, ACaptionIsTheSameAloneAndInAnotherObject) {
  const testing::Values values = {{"split", "pretrain"}, {"classes", std::int64_t{10}}, {"mix", 0.5}};
  const Opened one = captioned(values), two = captioned(values);
  const std::vector<std::string> all = captions_of(one, first(300));
  EXPECT_EQ(captions_of(two, {250})[0], all[250]);
  EXPECT_EQ(captions_of(one, {7, 250, 7}), (std::vector<std::string>{all[7], all[250], all[7]}));
}

TEST(Procedural, CaptionsSayNothingThatTheirDomainDoesNotShow) {
  using ::testing::AllOf;
  using ::testing::Each;
  using ::testing::HasSubstr;
  using ::testing::Not;
  const auto of = [](const char* domain) { return captions_of(captioned({{"domain", domain}}), first(200)); };
  EXPECT_THAT(of("sketch"),
              Each(Not(::testing::ContainsRegex("\\b(red|green|blue|grey|yellow|purple|black|white)\\b"))));
  EXPECT_THAT(of("silhouette"), Each(AllOf(Not(HasSubstr("upright")), Not(HasSubstr("rising")), Not(HasSubstr("level")),
                                           Not(HasSubstr("falling")))));
  EXPECT_THAT(of("photo"), ::testing::Contains(HasSubstr("upright")));
  EXPECT_THAT(of("photo"), ::testing::Contains(HasSubstr("red")));
}

// The ground of silhouettes is one flat colour, so the image itself tells whether its caption is right.
TEST(Procedural, CaptionsNameTheColourThatIsThere) {
  const Opened split = captioned({{"domain", "silhouette"}, {"occluders", std::int64_t{0}}});
  const std::vector<std::string> captions = captions_of(split, first(600));
  const Tensor corners = split.all().to(torch::kFloat32).select(3, 0).select(2, 0) / 255;  // [N, 3]
  int seen = 0;
  for (std::size_t i = 0; i < captions.size(); ++i) {
    const Tensor rgb = corners[static_cast<std::int64_t>(i)];
    const auto ends_with = [&](const std::string& end) {
      return captions[i].size() > end.size() && captions[i].substr(captions[i].size() - end.size()) == end;
    };
    seen += ends_with(" on black") || ends_with(" on white") || ends_with(" on green");
    if (ends_with(" on black")) {
      EXPECT_LT(rgb.max().item<float>(), 0.45) << captions[i];
    }
    if (ends_with(" on white")) {
      EXPECT_GT(rgb.min().item<float>(), 0.55) << captions[i];
    }
    if (ends_with(" on green")) {
      EXPECT_EQ(rgb.argmax().item<std::int64_t>(), 1) << captions[i];
    }
  }
  EXPECT_GT(seen, 5);
}

// Not trivial for raw pixels, and not hopeless: nearest class mean on the clean outlines, chance is 5 %.
TEST(Procedural, IsNeitherTrivialNorHopelessForPixels) {
  const Opened train = open({{"domain", "sketch"}}), test = open({{"domain", "sketch"}, {"split", "test"}});
  const auto pixels = [](const Opened& split) {
    return split.dataset->samples(torch::arange(split.info.size), torch::kCPU).to(torch::kFloat32).flatten(1) / 255;
  };
  const Tensor x = pixels(train), y = train.dataset->labels();
  std::vector<Tensor> means;
  for (std::int64_t c = 0; c < train.info.classes; ++c) means.push_back(x.index({y == c}).mean(0));
  const Tensor guess = torch::cdist(pixels(test), torch::stack(means)).argmin(1);
  const double accuracy = (guess == test.dataset->labels()).to(torch::kFloat64).mean().item<double>();
  EXPECT_GT(accuracy, 0.1);
  EXPECT_LT(accuracy, 0.8);
}

}  // namespace
}  // namespace nmlbench
