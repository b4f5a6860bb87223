// Test sets that are scored on classes of their own (ImageNet-R) and by sets of frames (ImageNet-Vid-Robust), and what
// is kept of their predictions.
#include "support/images.h"
#include "support/program.h"
#include "support/python.h"

#include <nmlbench/random.h>

#include <cstdlib>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

constexpr int kTrainClasses = 6;
constexpr int kAnchors = 40;

constexpr const char* kGroups = R"(
[matrix]
name = "groups"
seeds = [0, 1]

[[pretrain]]
encoder = { plugin = "resnet-tiny", width = 4 }
dataset = { plugin = "procedural", split = "pretrain", classes = 4, per_class = 40 }
noise   = { plugin = "symmetric", ratio = [0.0, 0.5] }
optim   = { epochs = 1, batch_size = 32, lr = 0.05 }

[[task]]
name  = "imagenet"
train = { plugin = "image-folder", path = "train", size = 16 }
[[task.test]]
kind = "id"
data = { plugin = "image-folder", path = "train", size = 16 }
[[task.test]]
kind = "ood"
name = "renditions"
data = { plugin = "imagenet-r", path = "imagenet-r", synsets = "synsets.txt", size = 16 }
[[task.test]]
kind = "ood"
name = "renditions-all-classes"
data = { plugin = "image-folder", path = "imagenet-r", size = 16, resize = "crop", crop_pct = 0.95, interpolation = "bicubic" }
[[task.test]]
kind = "ood"
name = "pm-0"
data = { plugin = "imagenet-vid-robust", path = "vid", size = 16 }
[[task.test]]
kind = "ood"
name = "pm-10"
data = { plugin = "imagenet-vid-robust", path = "vid", size = 16, score = "pm-10" }
[[task.test]]
kind = "ood"
name = "frames"
data = { plugin = "image-list", list = "vid/frames.txt", classes = 6, size = 16, resize = "crop", crop_pct = 0.95, interpolation = "bicubic" }

[[tuner]]
plugin = "linear-probe"
epochs = 4
lr = 0.003
[[tuner]]
plugin = "mlp"
epochs = 2
)";

std::string synset(int c) {
  return c == 0 ? "n01443537" : fmt::format("n{}", 10'000'000 + c);
}

// A colour of its own for each class under so much noise that heads err.
std::string picture(int c, const Stream& draws) {
  const torch::Tensor colour = torch::tensor({60 + 130 * (c % 2), 60 + 65 * (c / 2), 120}, torch::kInt64);
  const torch::Tensor noise = draws.integers({1, 1, 3}, 120) + draws.at("pixel").integers({8, 8, 3}, 60) - 90;
  return png_of((colour + noise).clamp(0, 255).to(torch::kUInt8));
}

void write_images(const Scratch& scratch) {
  const Stream draws = Stream(7);
  std::string synsets;
  for (int c = 0; c < 1000; ++c) synsets += synset(c) + "\n";
  scratch.write("synsets.txt", synsets);
  for (int c = 0; c < kTrainClasses; ++c) {
    for (int i = 0; i < 20; ++i) {
      scratch.write(fmt::format("train/{}/{}.png", synset(c), i), picture(c, draws.at("train").at(100 * c + i)));
      if (c != 0 && c != 2 && c != 5) continue;
      scratch.write(fmt::format("imagenet-r/{}/{}.png", synset(c), i), picture(c, draws.at("r").at(100 * c + i)));
    }
  }
}

// 40 videos of an anchor and four frames beside it; three classes of two training classes each. Some frames show two.
void write_videos(const Scratch& scratch) {
  std::string sets, labels, frames;
  for (int v = 0; v < kAnchors; ++v) {
    const int c = v % kTrainClasses;
    const std::string own = v % 4 == 0 ? fmt::format("[{}, {}]", c / 2, (c / 2 + 1) % 3) : fmt::format("[{}]", c / 2);
    std::vector<std::string> names;
    for (int f = 0; f < 5; ++f) {
      names.push_back(fmt::format("val/video-{:02}/{}.png", v, f));
      scratch.write("vid/" + names.back(), picture(c, Stream(7).at("video").at(10 * v + f)));
      labels += fmt::format("{}\"{}\": {}", labels.empty() ? "" : ", ", names.back(), own);
      frames += fmt::format("{} {}\n", names.back(), c);
    }
    sets += fmt::format("{}\"{}\": [\"{}\", \"{}\", \"{}\", \"{}\"]", sets.empty() ? "" : ", ", names[2], names[0],
                        names[1], names[3], names[4]);
  }
  scratch.write("vid/frames.txt", frames);
  scratch.write("vid/metadata/pmsets.json", "{" + sets + "}");
  scratch.write("vid/metadata/labels.json", "{" + labels + "}");
  scratch.write("vid/misc/imagenet_vid_class_index.json", R"({"0":["v0","fish"],"1":["v1","bird"],"2":["v2","cat"]})");
  std::string index, below;
  for (int c = 0; c < kTrainClasses; ++c) {
    index += fmt::format("{}\"{}\": [\"{}\", \"name\"]", c == 0 ? "" : ", ", c, synset(c));
    if (c % 2 == 0)
      below += fmt::format("{}\"v{}\": [\"{}\", \"{}\"]", c == 0 ? "" : ", ", c / 2, synset(c), synset(c + 1));
  }
  scratch.write("vid/misc/imagenet_class_index.json", "{" + index + "}");
  scratch.write("vid/misc/rev_wnid_map.json", "{" + below + "}");
}

class Groups : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_images(*scratch_);
    write_videos(*scratch_);
    scratch_->write("groups.toml", kGroups);
    const Finished finished = testing::run(*scratch_, {"run", "groups.toml"});
    ASSERT_EQ(finished.status, 0) << finished.err;
  }
  static void TearDownTestSuite() {
    delete scratch_;
    scratch_ = nullptr;
  }
  static int check(const std::string& script) {
    return std::system(fmt::format("{} {}/tests/{} {} {}", python_with("scipy, pandas"), NMLBENCH_SOURCE_DIR, script,
                                   NMLBENCH_PROGRAM, (*scratch_ / "nmlbench.sqlite").string())
                           .c_str());
  }

  static Scratch* scratch_;
};

Scratch* Groups::scratch_ = nullptr;

TEST_F(Groups, PredictionsAreTheOnesThatAreScored) {
  if (python_with("scipy, pandas").empty()) GTEST_SKIP() << "no python3 with scipy and pandas";
  EXPECT_EQ(check("boards/predictions_check.py"), 0);
  EXPECT_EQ(check("integration/groups_check.py"), 0);
}

TEST_F(Groups, WorkersAndVerificationAgree) {
  const Finished workers =
      testing::run(*scratch_, {"run", "groups.toml", "--db", "workers.sqlite", "--isolate", "all"});
  ASSERT_EQ(workers.status, 0) << workers.err;
  EXPECT_EQ(result_rows(*scratch_ / "workers.sqlite"), result_rows(*scratch_ / "nmlbench.sqlite"));
  const Finished verified = testing::run(*scratch_, {"verify", "--cells", "2"});
  EXPECT_EQ(verified.status, 0) << verified.out << verified.err;
  // pictures of sets of frames are those of their anchors
  const Finished report = testing::run(*scratch_, {"report", "--images"});
  EXPECT_EQ(report.status, 0) << report.err;
  EXPECT_THAT(read_text(*scratch_ / "report.html"), ::testing::Not(::testing::HasSubstr("No pictures of")));
}

}  // namespace
}  // namespace nmlbench::testing
