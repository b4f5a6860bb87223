#include "conformance/subject.h"

#include <nmlbench/noise.h>

#include <cmath>

#include <gtest/gtest.h>

namespace nmlbench::conformance {
namespace {

constexpr std::int64_t kClasses = 8, kSamples = 4000, kSourceSamples = 1000;
constexpr double kZ999 = 3.2905;  // two-sided 99.9 % of the normal distribution

bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || torch::equal(a, b));
}

// Classes of equal size in mixed order; or pairs. Images that show their class a little.
NoiseInput make_input(const NoiseModel& model) {
  NoiseInput input;
  const torch::Tensor labels = Stream(1).permutation(kSamples).remainder(kClasses);
  input.targets = model.corrupts_pairs() ? torch::arange(kSamples) : labels;
  input.classes = model.corrupts_pairs() ? kSamples : kClasses;
  input.rows = torch::arange(kSamples);
  input.full_size = kSamples;
  input.source_size = model.replaces_samples() ? kSourceSamples : 0;
  input.samples = [labels](const torch::Tensor& indices) {
    const torch::Tensor noise = Stream(2).integers({kSamples, 3, 8, 8}, 200).index_select(0, indices);
    return (noise + 6 * labels.index_select(0, indices).view({-1, 1, 1, 1})).to(torch::kUInt8);
  };
  return input;
}

NoiseOutput corrupt(const Subject& subject, const NoiseInput& input, std::uint64_t seed) {
  return make_noise(subject.plugin)->corrupt(input, Stream(seed));
}

// bool [N]: another target, or another image.
torch::Tensor corrupted(const NoiseOutput& output, const NoiseInput& input) {
  torch::Tensor changed = output.targets != input.targets;
  if (output.replaced.defined()) changed |= output.replaced >= 0;
  return changed;
}

// A count among n trials of probability p lies this close to n p: 99.9 % of the binomial, and rounding of `classes`
// exact counts.
double count_bound(double n, double p, double rounding) {
  return kZ999 * std::sqrt(n * p * (1 - p)) + rounding;
}

void targets_keep_their_form(const Subject& subject) {
  const auto model = make_noise(subject.plugin);
  const NoiseInput input = make_input(*model);
  const torch::Tensor before = input.targets.clone();
  const NoiseOutput noisy = model->corrupt(input, Stream(1));
  ASSERT_TRUE(noisy.targets.defined());
  EXPECT_EQ(noisy.targets.scalar_type(), torch::kInt64);
  EXPECT_EQ(noisy.targets.sizes(), before.sizes());
  const std::int64_t smallest = model->corrupts_pairs() ? kNoCaption : 0;
  EXPECT_FALSE(((noisy.targets < smallest) | (noisy.targets >= input.classes)).any().item<bool>())
      << "a target is outside the classes";
  EXPECT_TRUE(torch::equal(input.targets, before)) << "the input was modified";
}

void kept_and_replaced_samples_exist(const Subject& subject) {
  const auto model = make_noise(subject.plugin);
  const NoiseInput input = make_input(*model);
  const NoiseOutput noisy = model->corrupt(input, Stream(1));
  if (noisy.kept.defined()) {
    ASSERT_EQ(noisy.kept.scalar_type(), torch::kInt64);
    ASSERT_EQ(noisy.kept.dim(), 1);
    EXPECT_GT(noisy.kept.size(0), 0);
    EXPECT_FALSE(((noisy.kept < 0) | (noisy.kept >= kSamples)).any().item<bool>()) << "a kept sample does not exist";
    EXPECT_TRUE((noisy.kept.diff() > 0).all().item<bool>()) << "kept samples are not in ascending order, each once";
  }
  if (noisy.replaced.defined()) {
    EXPECT_TRUE(model->replaces_samples()) << "samples are replaced, and replaces_samples() is false";
    ASSERT_EQ(noisy.replaced.scalar_type(), torch::kInt64);
    ASSERT_EQ(noisy.replaced.sizes(), input.targets.sizes());
    EXPECT_FALSE(((noisy.replaced < -1) | (noisy.replaced >= kSourceSamples)).any().item<bool>())
        << "a replacement is outside the source";
  }
}

bool all_same(const NoiseOutput& one, const NoiseOutput& two) {
  return same(one.targets, two.targets) && same(one.kept, two.kept) && same(one.replaced, two.replaced);
}

void same_draws_same_targets(const Subject& subject) {
  const NoiseInput input = make_input(*make_noise(subject.plugin));
  EXPECT_TRUE(all_same(corrupt(subject, input, 1), corrupt(subject, input, 1)));
}

// Numbers from LibTorch's own generator would depend on what ran before.
void draws_come_from_its_stream(const Subject& subject) {
  const NoiseInput input = make_input(*make_noise(subject.plugin));
  const at::Generator generator = at::detail::getDefaultCPUGenerator();
  const torch::Tensor before = generator.get_state();
  corrupt(subject, input, 1);
  EXPECT_TRUE(torch::equal(generator.get_state(), before)) << "LibTorch's global generator was used";
}

void other_draws_other_targets(const Subject& subject) {
  const auto model = make_noise(subject.plugin);
  const NoiseInput input = make_input(*model);
  const NoiseOutput one = corrupt(subject, input, 1), two = corrupt(subject, input, 2);
  if (model->draws_nothing()) {
    EXPECT_TRUE(all_same(one, two)) << "the model says that it draws nothing, and two seeds give different targets";
    return;
  }
  const bool all_kept = !one.kept.defined() || one.kept.size(0) == kSamples;
  if (all_kept && !corrupted(one, input).any().item<bool>()) GTEST_SKIP() << "these parameters corrupt nothing";
  EXPECT_FALSE(all_same(one, two)) << "two seeds give the same targets; a model that draws nothing says so by "
                                      "draws_nothing()";
  const double rate = model->expected_rate(kClasses).value_or(0.0);
  if (rate > 0.01 && rate < 0.99) {
    EXPECT_FALSE(torch::equal(corrupted(one, input), corrupted(two, input))) << "two seeds corrupt the same samples";
  }
}

void ratio_zero_is_clean(const Subject& subject) {
  const std::string ratio = subject.plugin.parameter(Role::noise_ratio);
  if (ratio.empty()) GTEST_SKIP() << "the model has no parameter .as(Role::noise_ratio)";
  std::map<std::string, ParamValue> values = subject.plugin.params.values();
  values[ratio] = 0.0;
  Subject clean = subject;
  clean.plugin.params = Params(values);
  const NoiseInput input = make_input(*make_noise(clean.plugin));
  EXPECT_FALSE(corrupted(corrupt(clean, input, 1), input).any().item<bool>());
}

void realised_rate_is_the_expected_one(const Subject& subject) {
  const auto model = make_noise(subject.plugin);
  const NoiseInput input = make_input(*model);
  const std::optional<double> expected = model->expected_rate(kClasses);
  if (!expected) GTEST_SKIP() << "the model states no expected rate";
  const auto count = corrupted(corrupt(subject, input, 1), input).sum().item<double>();
  EXPECT_NEAR(count, *expected * kSamples, count_bound(kSamples, *expected, kClasses));
}

void realised_transition_is_the_expected_one(const Subject& subject) {
  const auto model = make_noise(subject.plugin);
  const torch::Tensor expected = model->expected_transition(kClasses);
  if (!expected.defined()) GTEST_SKIP() << "the model states no transition matrix";
  ASSERT_EQ(expected.sizes(), torch::IntArrayRef({kClasses, kClasses}));
  ASSERT_EQ(expected.scalar_type(), torch::kFloat64);
  ASSERT_TRUE(torch::allclose(expected.sum(1), torch::ones({kClasses}, torch::kFloat64))) << "rows do not sum to 1";
  const NoiseInput input = make_input(*model);
  const torch::Tensor noisy = corrupt(subject, input, 1).targets;
  const torch::Tensor counts =
      torch::bincount(input.targets * kClasses + noisy, {}, kClasses * kClasses).view({kClasses, kClasses});
  constexpr double kOfAClass = static_cast<double>(kSamples) / kClasses;
  for (std::int64_t from = 0; from < kClasses; ++from) {
    for (std::int64_t to = 0; to < kClasses; ++to) {
      const double p = expected[from][to].item<double>();
      if (p == 0) {
        EXPECT_EQ(counts[from][to].item<std::int64_t>(), 0) << from << " -> " << to << " cannot happen";
      } else {
        EXPECT_NEAR(counts[from][to].item<double>(), kOfAClass * p, count_bound(kOfAClass, p, 1))
            << from << " -> " << to;
      }
    }
  }
}

}  // namespace

const std::vector<Check>& noise_checks() {
  static const std::vector<Check> checks = {
      {"TargetsKeepTheirForm", targets_keep_their_form},
      {"KeptAndReplacedSamplesExist", kept_and_replaced_samples_exist},
      {"SameDrawsSameTargets", same_draws_same_targets},
      {"DrawsComeFromItsStream", draws_come_from_its_stream},
      {"OtherDrawsOtherTargets", other_draws_other_targets},
      {"RatioZeroIsClean", ratio_zero_is_clean},
      {"RealisedRateIsTheExpectedOne", realised_rate_is_the_expected_one},
      {"RealisedTransitionIsTheExpectedOne", realised_transition_is_the_expected_one}};
  return checks;
}

}  // namespace nmlbench::conformance
