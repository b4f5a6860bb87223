// Encoders with weights from a file, through the program: used as they are, told apart by content, refused in one line.
#include "support/plugins.h"
#include "support/program.h"
#include "support/safetensors.h"

#include <nmlbench/encoder.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kWeights = R"([matrix]
name = "weights"
seeds = [0, 1]
[[pretrain]]
encoder = { plugin = "vit", variant = "vit_tiny", patch = 8, size = 32, weights = "w.safetensors" }
[[task]]
name = "general"
train = { plugin = "procedural", classes = 4, per_class = 4 }
[[task.test]]
kind = "id"
data = { plugin = "procedural", split = "test", classes = 4, per_class = 4 }
[[tuner]]
plugin = "linear-probe"
epochs = 2
)";

class WeightFiles : public ::testing::Test {
 protected:
  // A vit_tiny's weights as drawn from `seed`.
  void write_weights(const std::string& name, std::uint64_t seed, double bias = 0) {
    const Values values = {
        {"variant", std::string("vit_tiny")}, {"patch", std::int64_t{8}}, {"size", std::int64_t{32}}};
    const auto encoder = make_encoder(plugin(PluginKind::encoder, "vit", values));
    encoder->build({SampleKind::image, {3, 32, 32}, 0}, Stream(seed));
    SafetensorsFile file;
    for (const auto& item : encoder->named_parameters()) {
      file.add(item.key(), item.key() == "norm.bias" ? torch::full_like(item.value(), bias) : item.value());
    }
    scratch_.write(name, file.bytes());
  }
  // The matrix with `from` replaced by `to`.
  Finished run_with(const std::string& from = "", const std::string& to = "") {
    std::string matrix = kWeights;
    matrix.replace(matrix.find(from), from.size(), to);
    scratch_.write("m.toml", matrix);
    return run(scratch_, {"run", "m.toml", "--db", "r.sqlite"});
  }
  std::int64_t ask(const std::string& sql) { return count(scratch_ / "r.sqlite", sql); }

  Scratch scratch_;
};

TEST_F(WeightFiles, AreUsedAsTheyAre) {
  write_weights("w.safetensors", 1);
  write_weights("v.safetensors", 2);
  const Finished finished = run_with("\"w.safetensors\"", "[\"w.safetensors\", \"v.safetensors\"]");
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("4 cells done, 0 failed"));
  EXPECT_THAT(finished.out, HasSubstr("weights=v.safetensors"));  // boards tell them apart
  EXPECT_EQ(ask("SELECT count(*) FROM v_throughput WHERE stage = 'pretrain'"), 0);
  // one checkpoint for both seeds, of which only the heads are
  EXPECT_EQ(ask("SELECT count(DISTINCT checkpoint_id) FROM v_cells"), 2);
}

TEST_F(WeightFiles, OtherContentIsAnotherCell) {
  write_weights("w.safetensors", 1);
  ASSERT_EQ(run_with().status, 0);
  write_weights("w.safetensors", 2);
  const Finished finished = run_with();
  EXPECT_THAT(finished.err, HasSubstr("2 cells done, 0 failed, 0 known before"));
}

TEST_F(WeightFiles, AreNotTrainedFurther) {
  write_weights("w.safetensors", 1);
  const Finished finished = run_with("[[task]]", "dataset = { plugin = \"procedural\" }\n[[task]]");
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("m.toml:4:1: pretrain[0]: encoder vit has its weights from weights = "
                                      "\"w.safetensors\"; remove dataset, noise and optim"));
}

TEST_F(WeightFiles, ThatDoNotFitAreNamed) {
  EXPECT_EQ(run_with().status, 2);
  EXPECT_THAT(run_with().err, HasSubstr("w.safetensors\": no such file"));
  write_weights("w.safetensors", 1, NAN);
  Finished finished = run_with();
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err,
              HasSubstr("w.safetensors: does not fit this encoder: 1 tensor with NaN or infinity (norm.bias)"));
  write_weights("w.safetensors", 1);
  finished = run_with("vit_tiny", "vit_small");
  EXPECT_THAT(finished.err, HasSubstr("cls_token [1, 1, 192] for [1, 1, 384]"));
  finished = run_with("plugin = \"vit\", variant = \"vit_tiny\", patch = 8,", "plugin = \"convnext\",");
  EXPECT_THAT(finished.err, HasSubstr("tensors of no use here (blocks.0.attn.proj.bias, "));
}

// What was trained here is a file with weights like any other.
TEST(Checkpoints, AreWrittenAsWeights) {
  const Scratch scratch;
  const std::string data = "{ plugin = \"procedural\", classes = 4, per_class = 4 }";
  const std::string task = "[[task]]\nname = \"t\"\ntrain = " + data +
                           "\n[[task.test]]\nkind = \"id\"\ndata = " + data +
                           "\n[[tuner]]\nplugin = \"linear-probe\"\nepochs = 2\n";
  const std::string head = "[matrix]\nname = \"m\"\nseeds = [0]\n[[pretrain]]\n";
  scratch.write("m.toml",
                head +
                    "encoder = { plugin = \"vit\", variant = \"vit_tiny\", patch = 8, size = 32, drop_path = 0.1 }\n"
                    "dataset = " +
                    data + "\nnoise = { plugin = \"symmetric\", ratio = [0.0, 0.25] }\n" +
                    "optim = { epochs = 1, batch_size = 8 }\n" + task);
  Finished finished = run(scratch, {"checkpoints", "m.toml", "-o", "out"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("2 of 2 checkpoints are not trained yet"));
  ASSERT_EQ(run(scratch, {"run", "m.toml", "--db", "r.sqlite"}).status, 0);
  finished = run(scratch, {"checkpoints", "m.toml", "-o", "out"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "out"))
    names.push_back(entry.path().filename());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("index.json", ::testing::StartsWith("vit_symmetric_0_s0_"),
                                                     ::testing::StartsWith("vit_symmetric_0.25_s0_")));
  for (const std::string& name : names) {
    if (name == "index.json") continue;
    scratch.write("w.toml",
                  head +
                      "encoder = { plugin = \"vit\", variant = \"vit_tiny\", patch = 8, size = 32, weights = \"out/" +
                      name + "\" }\n" + task);
    EXPECT_EQ(run(scratch, {"run", "w.toml", "--db", name + ".sqlite"}).status, 0);
    // the same features, so the same heads
    const std::string loss = "SELECT round(1e4 * value) FROM v_results WHERE metric = 'loss'";
    const std::string noise = name.find("0.25") == std::string::npos ? "0" : "0.25";
    EXPECT_EQ(count(scratch / (name + ".sqlite"), loss),
              count(scratch / "r.sqlite", loss + " AND noise_ratio = " + noise));
  }
}

TEST(Zoo, EveryFamilyRuns) {
  const Scratch scratch;
  const Finished finished = run(scratch, {"run", NMLBENCH_SOURCE_DIR "/matrices/zoo.toml", "--db", "r.sqlite"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("8 cells done, 0 failed"));
  for (const char* family : {"resnet", "vit", "convnext", "efficientnet", "resnetv2", "swin", "clip"})
    EXPECT_THAT(finished.out, HasSubstr(family));
}

TEST(Zoo, EveryFamilyOfTextsRuns) {
  const Scratch scratch;
  const Finished finished = run(scratch, {"run", NMLBENCH_SOURCE_DIR "/matrices/zoo-text.toml", "--db", "r.sqlite"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("3 cells done, 0 failed"));
  for (const char* family : {"bert", "roberta", "gpt2"}) EXPECT_THAT(finished.out, HasSubstr(family));
}

}  // namespace
}  // namespace nmlbench::testing
