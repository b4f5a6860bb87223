// Checkpoints as .safetensors files: whole, without what only training needs, and refused where they do not fit.
#include "engine/checkpoint_file.h"

#include "cache/checked_file.h"
#include "support/scratch.h"
#include "support/weight_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct SmallNet : torch::nn::Module {
  explicit SmallNet(std::int64_t width = 3) {
    conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(2, width, 3)));
    norm = register_module("norm", torch::nn::BatchNorm2d(width));
    const auto state = register_module("training_state", std::make_shared<torch::nn::Module>());
    steps = state->register_buffer("steps", torch::zeros({}, torch::kInt64));
    conv->weight.set_data(conv->weight.data().contiguous(torch::MemoryFormat::ChannelsLast));
  }
  torch::nn::Conv2d conv{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};
  torch::Tensor steps;
};

std::string complaint(const std::filesystem::path& file, std::int64_t width) {
  SmallNet net(width);
  const torch::Tensor before = net.conv->weight.detach().clone();
  try {
    load_checkpoint(net, file);
  } catch (const DamagedFile& error) {
    EXPECT_TRUE(torch::equal(before, net.conv->weight));
    return error.what();
  }
  return "";
}

TEST(CheckpointFile, ComesBackAsItWas) {
  const Scratch scratch;
  SmallNet ours, theirs;
  ours.norm->running_mean.fill_(7);
  ours.norm->num_batches_tracked.fill_(1'000'000'007);
  ours.steps.fill_(9);
  const auto file = scratch.write("w.safetensors", checkpoint_bytes(ours, {{"noise", "symmetric \"0.1\""}}));
  load_checkpoint(theirs, file);
  EXPECT_TRUE(torch::equal(ours.conv->weight, theirs.conv->weight));
  EXPECT_TRUE(theirs.conv->weight.is_contiguous(torch::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(torch::equal(ours.norm->running_mean, theirs.norm->running_mean));
  EXPECT_EQ(theirs.norm->num_batches_tracked.item<std::int64_t>(), 1'000'000'007);
  EXPECT_EQ(theirs.steps.item<std::int64_t>(), 0);
  EXPECT_EQ(read_weights(file).size(), 7);
}

TEST(CheckpointFile, ThatDoesNotFitLeavesTheEncoderAlone) {
  const Scratch scratch;
  const std::string bytes = checkpoint_bytes(SmallNet(), {});
  EXPECT_EQ(complaint(scratch.write("w.safetensors", bytes), 3), "");
  EXPECT_THAT(complaint(scratch.write("w.safetensors", bytes), 4),
              AllOf(HasSubstr("w.safetensors: does not fit the encoder: "), Not(HasSubstr("\n"))));
  EXPECT_THAT(complaint(scratch.write("w.safetensors", bytes.substr(0, bytes.size() - 1)), 3),
              HasSubstr("w.safetensors: is no checkpoint: "));
  const struct Empty : torch::nn::Module {
  } empty;
  EXPECT_THAT(complaint(scratch.write("w.safetensors", checkpoint_bytes(empty, {})), 3),
              HasSubstr("it lacks conv.bias"));
  EXPECT_THAT(complaint(scratch / "none.safetensors", 3), HasSubstr("none.safetensors: is no checkpoint: "));
}

TEST(CheckpointFile, RefusesTypesThatTheFormatLacks) {
  torch::nn::Module net;
  net.register_buffer("z", torch::zeros({2}, torch::kComplexFloat));
  EXPECT_THROW(checkpoint_bytes(net, {}), Error);
}

}  // namespace
}  // namespace nmlbench::testing
