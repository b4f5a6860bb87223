// Weights from files: what is read, and one line for everything that cannot be.
#include "models/weights/load_weights.h"
#include "support/pickle.h"
#include "support/safetensors.h"
#include "support/scratch.h"

#include <nmlbench/error.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn.h>

namespace nmlbench::testing {
namespace {

using plugins::load_weights;
using plugins::Rename;
using ::testing::AllOf;
using ::testing::HasSubstr;
using torch::Tensor;
using namespace std::string_literals;

const std::filesystem::path kGolden = NMLBENCH_SOURCE_DIR "/tests/golden/weights";

struct Net : torch::nn::Module {
  torch::nn::Linear fc{3, 2};
  torch::nn::BatchNorm1d bn{2};
  Net() {
    register_module("fc", fc);
    register_module("bn", bn);
  }
};

SafetensorsFile whole_net() {
  SafetensorsFile file;
  file.add("fc.weight", torch::arange(6.0).view({2, 3}).to(torch::kBFloat16), "BF16");
  file.add("fc.bias", torch::arange(2.0).to(torch::kHalf), "F16");
  file.add("bn.weight", torch::full({2}, 3.0), "F32");
  file.add("bn.bias", torch::full({2}, 4.0, torch::kFloat64), "F64");
  file.add("bn.running_mean", torch::full({2}, 5.0), "F32");
  file.add("bn.running_var", torch::full({2}, 6.0), "F32");
  return file;
}

std::string complaint(const std::filesystem::path& file, const std::vector<Rename>& renames = {}) {
  Net net;
  try {
    load_weights(net, file, renames);
  } catch (const DataError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

TEST(Weights, HalfPrecisionBecomesFloat32) {
  const Scratch scratch;
  Net net;
  load_weights(net, scratch.write("w.safetensors", whole_net().bytes()), {});
  EXPECT_TRUE(torch::equal(net.fc->weight, torch::arange(6.0).view({2, 3})));
  EXPECT_TRUE(torch::equal(net.fc->bias, torch::arange(2.0)));
  EXPECT_EQ(net.bn->bias[1].item<double>(), 4);
  EXPECT_EQ(net.bn->running_var[0].item<double>(), 6);
}

TEST(Weights, StateDictsOfTorchSave) {
  for (const char* name : {"zip.pt", "legacy.pt", "training.pt"}) {
    Net net;
    load_weights(net, kGolden / name, {});
    EXPECT_TRUE(torch::equal(net.fc->weight, torch::arange(6.0).view({3, 2}).t())) << name;
    EXPECT_EQ(net.fc->bias[1].item<double>(), 11) << name;
    EXPECT_EQ(net.bn->running_var[0].item<double>(), 50) << name;
  }
  EXPECT_THAT(complaint(kGolden / "parameter.pt"), HasSubstr("(w)"));
}

TEST(Weights, APickleThatWantsToImportIsRefused) {
  EXPECT_THAT(complaint(kGolden / "evil.pt"), HasSubstr("wants to import posix.system"));
  EXPECT_FALSE(std::filesystem::exists("evil-was-here"));
}

TEST(Weights, ShardsAreJoined) {
  const Scratch scratch;
  SafetensorsFile one, two;
  one.add("fc.weight", torch::ones({2, 3}), "F32");
  one.add("fc.bias", torch::ones({2}), "F32");
  for (const char* name : {"bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"}) {
    two.add(name, torch::full({2}, 2.0), "F32");
  }
  scratch.write("1.safetensors", one.bytes());
  scratch.write("2.safetensors", two.bytes());
  const auto index = scratch.write("model.safetensors.index.json",
                                   R"({"weight_map":{"fc.weight":"1.safetensors","bn.weight":"2.safetensors"}})");
  Net net;
  load_weights(net, index, {});
  EXPECT_EQ(net.bn->running_var[1].item<double>(), 2);
  scratch.write("model.safetensors.index.json", R"({"weight_map":{"fc.weight":"../1.safetensors"}})");
  EXPECT_THAT(complaint(index), HasSubstr("shards lie beside their index"));
  scratch.write("model.safetensors.index.json", "[]");
  EXPECT_THAT(complaint(index), HasSubstr("no index of shards"));
}

TEST(Weights, NamesOfOthersAreMapped) {
  const Scratch scratch;
  SafetensorsFile file;
  file.add("module.a.w", torch::ones({1, 3}), "F32");
  file.add("module.b.w", torch::zeros({1, 3}), "F32");
  file.add("module.a.bias", torch::ones({2, 1, 1}), "F32");
  file.add("module.classifier", torch::ones({1000}), "F32");
  for (const char* name : {"weight", "bias", "running_mean", "running_var"}) {
    file.add(std::string("module.norm.") + name, torch::full({2}, 2.0), "F32");
  }
  Net net;
  load_weights(net, scratch.write("w.safetensors", file.bytes()),
               {{"classifier", ""},
                {"a\\.w", "fc.weight#0"},
                {"b\\.w", "fc.weight#1"},
                {"a\\.(.*)", "fc.$1"},
                {"norm\\.(.*)", "bn.$1"}});
  EXPECT_TRUE(torch::equal(net.fc->weight, torch::tensor({{1.F, 1.F, 1.F}, {0.F, 0.F, 0.F}})));
  EXPECT_TRUE(torch::equal(net.fc->bias, torch::ones({2})));
}

TEST(Weights, AllThatDoesNotFitIsInOneMessage) {
  const Scratch scratch;
  SafetensorsFile file;
  file.add("fc.weight", torch::ones({2, 4}), "F32");
  file.add("fc.bias", torch::tensor({1.F, NAN}), "F32");
  for (int i = 0; i < 200; ++i) file.add("layer" + std::to_string(i), torch::ones({1}), "F32");
  EXPECT_THAT(
      complaint(scratch.write("w.safetensors", file.bytes())),
      AllOf(HasSubstr("w.safetensors: "), HasSubstr("4 tensors missing (bn.weight, bn.bias, bn.running_mean, ..)"),
            HasSubstr("1 tensor of another shape (fc.weight [2, 4] for [2, 3])"),
            HasSubstr("1 tensor with NaN or infinity (fc.bias)"), HasSubstr("200 tensors of no use here (layer0, ")));
}

TEST(Weights, FilesThatLieAreRefused) {
  const Scratch scratch;
  const SafetensorsFile good = whole_net();
  const auto write = [&](const std::string& bytes) { return scratch.write("w.safetensors", bytes); };
  EXPECT_EQ(complaint(write(good.bytes())), "");
  EXPECT_THAT(complaint(write(good.bytes().substr(0, good.bytes().size() - 1))), HasSubstr("truncated"));
  EXPECT_THAT(complaint(write(good.bytes() + "x")), HasSubstr("longer than its header says"));
  EXPECT_THAT(complaint(write(std::string(8, '\xff') + "{}")), HasSubstr("truncated in its header"));
  EXPECT_THAT(complaint(write("")), HasSubstr("empty"));
  std::string header = good.header();
  header.replace(header.find("[12,16]"), 7, "[10,14]");
  EXPECT_THAT(complaint(write(good.with_header(header))), HasSubstr("\"fc.weight\" and \"fc.bias\" overlap"));
  EXPECT_THAT(complaint(write(good.with_header(std::string(1 << 20, '[')))), HasSubstr("no JSON object"));
  EXPECT_THAT(complaint(scratch.write("w.bin", "hello")), HasSubstr("neither a .safetensors file nor"));
  EXPECT_THAT(complaint(scratch / "none.pt"), HasSubstr("No such file"));
}

TEST(Weights, NamesAndShapesHaveALength) {
  const Scratch scratch;
  SafetensorsFile file;
  file.add("encoder." + std::string(1 << 20, 'x'), torch::ones({1}));
  EXPECT_THAT(complaint(scratch.write("w.safetensors", file.bytes())), HasSubstr("name is too long"));
  // a tensor of 100 dimensions over a storage of one element, which no shape of PyTorch's has
  std::string pickled = "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\n"s +
                        "X\1\0\0\0"
                        "0"s +
                        "X\3\0\0\0cpuK\1tQK\0"s;
  for (int i = 0; i < 2; ++i) {
    pickled += '(';
    for (int j = 0; j < 100; ++j) pickled += "K\1"s;
    pickled += 't';
  }
  EXPECT_THROW(pickle::unpickle(pickled + "\x89}tR.", "f"), DataError);
}

// Nothing crashes, whatever stands in the file, and damage to what is read is noticed or harmless.
TEST(Weights, EveryTruncationAndManyFlipsAreErrorsOrReadable) {
  const Scratch scratch;
  for (const char* name : {"zip.pt", "legacy.pt"}) {
    const std::string good = read_text(kGolden / name);
    for (std::size_t size = 0; size < good.size(); size += 1 + size / 64) {
      EXPECT_NE(complaint(scratch.write("w.pt", good.substr(0, size))), "") << name << " of " << size << " bytes";
    }
    for (std::size_t at = 0; at < good.size(); at += 11) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
      complaint(scratch.write("w.pt", bad));
    }
  }
}

}  // namespace
}  // namespace nmlbench::testing
