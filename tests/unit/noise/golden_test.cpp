// Same seed, same noise, on every machine: what each model did to a fixed input, as a hash of its output.
#include "unit/noise/cases.h"

#include <nmlbench/digest.h>

#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using torch::Tensor;

std::string hash_of(const NoiseOutput& output) {
  Digest digest;
  for (const Tensor& tensor : {output.targets, output.kept, output.replaced}) {
    if (!tensor.defined()) continue;
    const Tensor whole = tensor.contiguous();
    digest.update(whole.data_ptr<std::int64_t>(), static_cast<std::size_t>(whole.numel()) * sizeof(std::int64_t));
  }
  return digest.hex();
}

struct Golden {
  std::string name;
  std::string model;
  Values values;
  std::string hash;
};
void PrintTo(const Golden& value, std::ostream* out) {
  *out << value.name;
}

class SameOnEveryMachine : public ::testing::TestWithParam<Golden> {};

INSTANTIATE_TEST_SUITE_P(
    Noise, SameOnEveryMachine,
    ::testing::Values(
        Golden{"Symmetric", "symmetric", {{"ratio", 0.3}}, "c33432bb52e618e3e238c4460130b51f"},
        Golden{"SymmetricBernoulli", "symmetric", {{"mode", "bernoulli"}}, "523a326e5749485ea94c93d2e14f471a"},
        Golden{"SymmetricWithItself", "symmetric", {{"include_self", true}}, "5081fd3d59199efa3c0d0d0eccaf9a53"},
        Golden{"AsymmetricPair", "asymmetric", {{"ratio", 0.3}}, "8688a8a18cb4f69b5b29f8c614b75773"},
        Golden{
            "AsymmetricMap", "asymmetric", {{"ratio", 0.4}, {"preset", "cifar10"}}, "72c6ab0503641512e01b450b468ee7c4"},
        Golden{"Instance", "instance", {{"ratio", 0.3}}, "0dba201ca85ed31ca51669c0094d87de"},
        Golden{"SimilarityMeans", "similarity", {{"ratio", 0.3}}, "b596462cb7c3129b41b8117196b35476"},
        Golden{"SimilarityConfusion", "similarity", {{"by", "confusion"}}, "a7e16b140c8831a5c9c9e6c304c54777"},
        Golden{"CaptionSwap", "caption-swap", {{"ratio", 0.3}}, "c6349f1d846301c6ed5c8777b011d2fa"},
        Golden{"CaptionDrop", "caption-drop", {{"ratio", 0.3}}, "4e2cfa6c580c215b24bafc56ced381ea"},
        Golden{"Web", "web", {{"ratio", 0.3}}, "4a90adb47153f4d7c9801437a7631471"},
        Golden{"LongTail", "long-tail", {{"factor", 20.0}}, "d313f396299ac0ae6e8615b2500b9437"},
        Golden{"LongTailDrawn", "long-tail", {{"order", "random"}}, "840b2ce561a21619dd324dabd38ccae7"}),
    [](const auto& info) { return info.param.name; });

TEST_P(SameOnEveryMachine, AsWhenItWasWritten) {
  const bool of_pairs = GetParam().model.rfind("caption", 0) == 0;
  NoiseInput input = of_pairs ? pairs(2000) : labels_in_turn(10, 200);
  input.source_size = 700;
  const Tensor labels = input.targets.remainder(10);
  input.samples = [labels](const Tensor& indices) {  // images that show their class, with noise on them
    const Tensor noise = Stream(2).integers({2000, 3, 8, 8}, 160).index_select(0, indices);
    return (noise + 9 * labels.index_select(0, indices).view({-1, 1, 1, 1})).to(torch::kUInt8);
  };
  EXPECT_EQ(hash_of(corrupt(GetParam().model, GetParam().values, input, 3907)), GetParam().hash);
}

}  // namespace
}  // namespace nmlbench::testing
