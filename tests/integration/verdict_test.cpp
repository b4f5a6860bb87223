// The matrices of the disputed claims, on the embedded world and on real images.
#include "support/images.h"
#include "support/program.h"

#include <nmlbench/random.h>

#include <chrono>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Three tasks, of which one with views, five noise ratios and four seeds; LoRA not on views.
constexpr int kFrozenCells = 3 * 6 * 5 * 4, kFineTunings = 2 * 5 * 4;

void expect_cells(const std::string& plan_json) {
  const auto plan = nlohmann::json::parse(plan_json);
  EXPECT_EQ(plan.at("stages").at("tune").at("total"), kFrozenCells);
  EXPECT_EQ(plan.at("stages").at("fine_tune").at("total"), kFineTunings);
  EXPECT_EQ(plan.at("stages").at("pretrain").at("total"), 5 * 4);
  EXPECT_EQ(plan.at("selection").at("rule"), "holdout");
}

Finished plan_in_seconds(const Scratch& scratch, const std::vector<std::string>& arguments) {
  const auto begin = std::chrono::steady_clock::now();
  Finished finished = run(scratch, arguments);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 30);
  return finished;
}

TEST(Verdict, OnTheEmbeddedWorldPlansAtOnce) {
  const Scratch scratch;
  const Finished finished = plan_in_seconds(scratch, {"plan", "verdict", "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  expect_cells(finished.out);
}

TEST(Verdict, OnRealImagesNamesWhatIsMissing) {
  const Scratch scratch;
  const Finished finished = plan_in_seconds(scratch, {"plan", "verdict-real"});
  EXPECT_EQ(finished.status, 2);
  for (const char* missing : {"/data/cifar10-jpg/train-order.txt.gz", "/data/cifar10-jpg/test", "/data/pacs/photo",
                              "/data/pacs/art_painting", "/data/pacs/cartoon", "/data/pacs/sketch"}) {
    EXPECT_THAT(finished.out, HasSubstr(missing));
  }
}

// The matrix beside a folder `data` with a few pictures in place of each class's many.
class RealVerdict : public ::testing::Test {
 protected:
  RealVerdict() {
    scratch_.write("matrices/verdict-real.toml", read_text(NMLBENCH_SOURCE_DIR "/matrices/verdict-real.toml"));
    std::string list;
    for (int label = 0; label < 10; ++label) {
      for (int i = 0; i < 12; ++i) {
        write(fmt::format("cifar10-jpg/test/class{}/{:04}.jpg", label, i), label);
        const std::string name = fmt::format("train/class{}/{:04}.jpg", label, i);
        write("cifar10-jpg/" + name, label);
        list += fmt::format("{} {}\n", name, label);
      }
    }
    write_gz(scratch_ / "data/cifar10-jpg/train-order.txt.gz", list);
    for (const char* domain : {"photo", "art_painting", "cartoon", "sketch"}) {
      for (int label = 0; label < 6; ++label) {
        for (int i = 0; i < 10; ++i) write(fmt::format("pacs/{}/class{}/{:04}.jpg", domain, label, i), label);
      }
    }
  }

  void write(const std::string& name, int label) {
    const torch::Tensor classes = Stream(1).at(label).normal({40, 40, 3});
    const torch::Tensor noise = Stream(2).at(count_++).normal({40, 40, 3});
    scratch_.write("data/" + name, jpeg_of((128 + 30 * classes + 40 * noise).clamp(0, 255).to(torch::kUInt8)));
  }
  static void write_gz(const std::filesystem::path& file, const std::string& text) {
    const gzFile out = gzopen(file.c_str(), "wb");
    gzwrite(out, text.data(), static_cast<unsigned>(text.size()));
    gzclose(out);
  }
  std::vector<std::string> command(const std::string& verb, const std::vector<std::string>& more) const {
    std::vector<std::string> words = {verb, "matrices/verdict-real.toml", "--set", "pretrain.dataset.limit=100"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  Scratch scratch_;
  std::int64_t count_ = 0;
};

TEST_F(RealVerdict, PlansWhereTheDataAre) {
  const Finished finished = plan_in_seconds(scratch_, command("plan", {"--json"}));
  ASSERT_EQ(finished.status, 0) << finished.err;
  expect_cells(finished.out);
}

TEST_F(RealVerdict, RunsAndGivesVerdictsSlow) {
  const Finished finished =
      run(scratch_, command("run", {"--set", "pretrain.encoder.width=4", "--set", "pretrain.optim.epochs=1", "--set",
                                    "pretrain.optim.batch_size=50", "--set", "task[0].fraction=1.0", "--set",
                                    "matrix.seeds=[0, 1]", "--set", "stop.max_seeds=2"}));
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr(" 0 failed"));
  EXPECT_THAT(finished.out,
              AllOf(HasSubstr("noise hurts ood"), HasSubstr("noise 0.05 helps id"),
                    HasSubstr("nmtune (official) > mlp on ood"), HasSubstr("nmtune (official) > linear-probe on ood")));
  EXPECT_EQ(count(scratch_ / "nmlbench.sqlite", "SELECT count(*) FROM v_cells WHERE status = 'done'"),
            (kFrozenCells + kFineTunings) / 2);
  EXPECT_EQ(count(scratch_ / "nmlbench.sqlite",
                  "SELECT count(*) FROM v_selection s JOIN v_cells USING (cell_id) WHERE tuner = 'lora' AND s.chosen"),
            kFineTunings / 2);
}

}  // namespace
}  // namespace nmlbench::testing
