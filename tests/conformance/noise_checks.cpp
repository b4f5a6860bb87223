#include "conformance/subject.h"

#include <nmlbench/noise.h>

#include <cmath>

#include <gtest/gtest.h>

namespace nmlbench::conformance {
namespace {

constexpr std::int64_t kClasses = 8, kSamples = 4000;

NoiseInput make_input(bool pairs) {
  NoiseInput input;
  input.targets = pairs ? torch::arange(kSamples) : Stream(1).integers({kSamples}, kClasses);
  input.classes = pairs ? kSamples : kClasses;
  input.samples = [](const torch::Tensor& indices) {
    return Stream(2).integers({kSamples, 3, 8, 8}, 256).to(torch::kUInt8).index_select(0, indices);
  };
  return input;
}

torch::Tensor corrupt(const Subject& subject, const NoiseInput& input, std::uint64_t seed) {
  return make_noise(subject.plugin)->corrupt(input, Stream(seed));
}

void targets_keep_their_form(const Subject& subject) {
  const NoiseInput input = make_input(make_noise(subject.plugin)->corrupts_pairs());
  const torch::Tensor before = input.targets.clone();
  const torch::Tensor noisy = corrupt(subject, input, 1);
  ASSERT_TRUE(noisy.defined());
  EXPECT_EQ(noisy.scalar_type(), torch::kInt64);
  EXPECT_EQ(noisy.sizes(), before.sizes());
  EXPECT_FALSE(((noisy < 0) | (noisy >= input.classes)).any().item<bool>()) << "a target is outside the classes";
  EXPECT_TRUE(torch::equal(input.targets, before)) << "the input was modified";
}

void same_draws_same_targets(const Subject& subject) {
  const NoiseInput input = make_input(make_noise(subject.plugin)->corrupts_pairs());
  EXPECT_TRUE(torch::equal(corrupt(subject, input, 1), corrupt(subject, input, 1)));
}

void realised_rate_is_the_expected_one(const Subject& subject) {
  const auto model = make_noise(subject.plugin);
  const NoiseInput input = make_input(model->corrupts_pairs());
  const std::optional<double> expected = model->expected_rate(input.classes);
  if (!expected) GTEST_SKIP() << "the model states no expected rate";
  const double rate = (corrupt(subject, input, 1) != input.targets).to(torch::kFloat64).mean().item<double>();
  const double deviation = std::sqrt(*expected * (1 - *expected) / kSamples);
  EXPECT_NEAR(rate, *expected,
              3.3 * deviation + static_cast<double>(kClasses) / kSamples);  // 99.9 %, and rounding by class
}

}  // namespace

const std::vector<Check>& noise_checks() {
  static const std::vector<Check> checks = {{"TargetsKeepTheirForm", targets_keep_their_form},
                                            {"SameDrawsSameTargets", same_draws_same_targets},
                                            {"RealisedRateIsTheExpectedOne", realised_rate_is_the_expected_one}};
  return checks;
}

}  // namespace nmlbench::conformance
