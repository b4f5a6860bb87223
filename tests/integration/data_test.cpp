// Image data through the program: features of `pixels`, broken images, class subsets, `doctor --data`.
#include "integration/matrices.h"
#include "support/images.h"
#include "support/npy.h"
#include "support/program.h"
#include "support/shared_data.h"

#include <nmlbench/random.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;

torch::Tensor image(std::uint64_t seed) {
  return Stream(seed).integers({6, 5, 3}, 256).to(torch::kUInt8);
}

void write_folder(const Scratch& scratch) {
  for (std::uint64_t i = 0; i < 12; ++i) {
    const std::string folder = i % 2 == 0 ? "photos/ant/" : "photos/bee/";
    scratch.write(folder + std::to_string(10 + i) + ".png", png_of(image(i)));
  }
}

std::string matrix(const std::string& data, const std::string& encoder = "pixels") {
  return "[matrix]\nname = \"images\"\nseeds = [0]\n[[pretrain]]\nencoder = { plugin = \"" + encoder +
         "\" }\n[[task]]\nname = \"photos\"\ntrain = " + data + "\n[[task.test]]\nkind = \"id\"\ndata = " + data +
         "\n[[tuner]]\nplugin = \"linear-probe\"\nepochs = 1\n";
}

torch::Tensor exported(const Scratch& scratch) {
  const auto index = nlohmann::json::parse(read_text(scratch / "out/index.json"));
  return read_npy_file(scratch / ("out/" + index.at("checkpoints")[0].at("splits")[0].at("x").get<std::string>()));
}

// One colour for each class: what is taken for another class shows as accuracy.
void write_swatches(const Scratch& scratch, const std::string& folder, const std::vector<std::string>& classes) {
  const std::vector<std::string> all = {"ant", "bee", "cat", "dog"};
  for (const std::string& name : classes) {
    const auto c = std::find(all.begin(), all.end(), name) - all.begin();
    const torch::Tensor colour =
        torch::tensor(std::vector<std::int64_t>{200 * (c % 2), 200 * (c / 2), 100}).to(torch::kUInt8);
    for (int i = 0; i < 6; ++i) {
      scratch.write(folder + "/" + name + "/" + std::to_string(i) + ".png", png_of(colour.expand({4, 4, 3}) + i));
    }
  }
}

std::string train_and_test(const std::string& train, const std::string& test) {
  std::string text = matrix(train);
  const std::size_t at = text.rfind(train);
  text.replace(at, train.size(), test);
  text.replace(text.find("epochs = 1"), 10, "epochs = 60\nlr = 0.05");
  return text;
}

TEST(Data, ClassesOfTrainingAndTestMeetByName) {
  const Scratch scratch;
  write_swatches(scratch, "train", {"ant", "bee", "cat", "dog"});
  write_swatches(scratch, "test", {"ant", "cat", "dog"});
  scratch.write("m.toml", train_and_test("{ plugin = \"image-folder\", path = \"train\" }",
                                         "{ plugin = \"image-folder\", path = \"test\" }"));
  const Finished finished = run(scratch, {"run", "m.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT sum(value = 1) FROM v_results WHERE metric = 'accuracy'"), 1);
}

TEST(Data, ImagesOfAnotherSizeAreNoFeaturesOfTheSameWidth) {
  const Scratch scratch;
  write_swatches(scratch, "train", {"ant", "bee"});
  scratch.write("m.toml", train_and_test("{ plugin = \"image-folder\", path = \"train\" }",
                                         "{ plugin = \"image-folder\", path = \"train\", size = 6 }"));
  const Finished finished = run(scratch, {"run", "m.toml"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("m.toml:11:8: task[0].test[0].data: "));
  EXPECT_THAT(finished.err, HasSubstr("bring them to one size and colour"));
}

TEST(Data, PixelsOfAFolderAreTheFilesBytes) {
  const Scratch scratch;
  write_folder(scratch);
  scratch.write("m.toml", matrix("{ plugin = \"image-folder\", path = \"photos\" }"));
  const Finished finished = run(scratch, {"features", "m.toml", "-o", "out"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const torch::Tensor x = exported(scratch);
  ASSERT_EQ(x.size(0), 12);
  for (std::int64_t i = 0; i < 12; ++i) {  // ant: 0, 2, 4, ..; bee: 1, 3, 5, ..
    const auto seed = static_cast<std::uint64_t>(i < 6 ? 2 * i : 2 * (i - 6) + 1);
    const torch::Tensor pixels = image(seed).permute({2, 0, 1}).reshape({-1}).to(torch::kFloat32) / 255;
    EXPECT_TRUE(torch::equal(x[i], pixels)) << i;
  }
}

TEST(Data, ABrokenImageFailsTheCellByNameOrIsLeftOut) {
  const Scratch scratch;
  write_folder(scratch);
  scratch.write("photos/bee/11.png", "");
  scratch.write("m.toml", matrix("{ plugin = \"image-folder\", path = \"photos\", size = 6 }"));
  const Finished failed = run(scratch, {"run", "m.toml"});
  EXPECT_EQ(failed.status, 1);
  EXPECT_THAT(failed.err, HasSubstr("photos/bee/11.png: the file is empty"));
  scratch.write("m.toml", matrix("{ plugin = \"image-folder\", path = \"photos\", size = 6, broken = \"skip\" }"));
  const Finished skipped = run(scratch, {"run", "m.toml"});
  EXPECT_EQ(skipped.status, 0) << skipped.err;
  EXPECT_THAT(skipped.err, HasSubstr("left out: 1 of 12 images are broken, the first is"));
}

TEST(Data, TheSecondRunDecodesNothingAndChangesNothing) {
  const Scratch scratch;
  write_folder(scratch);
  scratch.write("m.toml", matrix("{ plugin = \"image-folder\", path = \"photos\", size = 4 }"));
  ASSERT_EQ(run(scratch, {"run", "m.toml"}).status, 0);
  const auto rows = result_rows(scratch / "nmlbench.sqlite");
  const Finished again = run(scratch, {"run", "m.toml", "--db", "second.sqlite", "--threads", "1"});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(result_rows(scratch / "second.sqlite"), rows);
  std::filesystem::remove(scratch / "photos/ant/10.png");
  EXPECT_EQ(run(scratch, {"run", "m.toml"}).status, 0);  // other data, other cells
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(DISTINCT cell_id) FROM v_results"), 2);
}

// Three programs that push each other's images out of one cache.
TEST(Data, ProgramsThatShareAFullCacheServeTheFilesImages) {
  const Scratch scratch;
  std::vector<std::unique_ptr<Program>> programs;
  const std::vector<std::string> names = {"a", "b", "c"};
  for (const std::string& name : names) {
    for (std::uint64_t i = 0; i < 12; ++i) {
      scratch.write(name + (i < 6 ? "/ant/" : "/bee/") + std::to_string(10 + i) + ".png",
                    png_of(image(100 * i + static_cast<std::uint64_t>(name[0]))));
    }
    scratch.write(name + ".toml", matrix("{ plugin = \"image-folder\", path = \"" + name + "\", size = 32 }"));
  }
  for (const std::string& name : names) {
    programs.push_back(std::make_unique<Program>(
        scratch,
        std::vector<std::string>{"features", name + ".toml", "-o", name + "-out", "--image-cache-gb", "0.00004"},
        name));
  }
  for (const auto& program : programs) {
    const Finished finished = program->wait();
    EXPECT_EQ(finished.status, 0) << finished.err;
  }
  for (const std::string& name : names) {
    const Finished alone = run(
        scratch, {"features", name + ".toml", "-o", name + "-alone", "--image-cache-gb", "0", "--cache-dir", "other"});
    ASSERT_EQ(alone.status, 0) << alone.err;
    int compared = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch / (name + "-alone"))) {
      if (entry.path().extension() != ".npy") continue;
      const auto twin =
          scratch / (name + "-out") / std::filesystem::relative(entry.path(), scratch / (name + "-alone"));
      EXPECT_EQ(read_text(entry.path()), read_text(twin)) << entry.path();
      ++compared;
    }
    EXPECT_EQ(compared, 2);
  }
}

TEST(Data, DoctorSaysHowMuchDecodedImagesMayTake) {
  const Scratch scratch;
  write_folder(scratch);
  scratch.write("m.toml", matrix("{ plugin = \"image-folder\", path = \"photos\" }"));
  ASSERT_EQ(run(scratch, {"features", "m.toml", "-o", "out"}).status, 0);
  const Finished doctor = run(scratch, {"doctor", "--json", "--image-cache-gb", "2.5"});
  const auto images = nlohmann::json::parse(doctor.out).at("images").get<std::string>();
  EXPECT_THAT(images, HasSubstr("at most 2.5 GB (--image-cache-gb, NMLBENCH_IMAGE_CACHE_GB)"));
  EXPECT_THAT(images, ::testing::Not(::testing::StartsWith("0B")));
  for (const char* wrong : {"lots", "-1", "5GB", "nan"}) {
    const Finished refused = run(scratch, {"doctor", std::string("--image-cache-gb=") + wrong});
    EXPECT_EQ(refused.status, 2) << wrong;
    EXPECT_THAT(refused.err, HasSubstr("--image-cache-gb"));
  }
}

// In this process and in a worker, which has to be told.
TEST(Data, PluginsAreHandedTheCacheItsLimitAndTheLog) {
  for (const char* isolate : {"none", "all"}) {
    SCOPED_TRACE(isolate);
    const Scratch scratch;
    write_folder(scratch);
    scratch.write("photos/empty/none.txt", "");
    scratch.write("m.toml", matrix("{ plugin = \"image-folder\", path = \"photos\" }"));
    const auto kept = [&](const char* folder) {
      std::error_code none;
      std::int64_t files = 0;
      for (std::filesystem::recursive_directory_iterator it(scratch / folder / "images", none), end; !none && it != end;
           ++it) {
        files += it->path().extension() == ".rows" ? 1 : 0;
      }
      return files;
    };
    const auto run_in = [&](const char* folder, const char* gigabytes) {
      const Finished finished = run(scratch, {"run", "m.toml", "--isolate", isolate, "--cache-dir", folder,
                                              "--image-cache-gb", gigabytes, "--db", std::string(folder) + ".sqlite"});
      ASSERT_EQ(finished.status, 0) << finished.err;
    };
    run_in("own", "1");
    run_in("nothing", "0");
    EXPECT_GT(kept("own"), 0);
    EXPECT_EQ(kept("nothing"), 0);
    EXPECT_FALSE(std::filesystem::exists(scratch / "cache"));  // of the environment
    EXPECT_GT(count(scratch / "own.sqlite",
                    "SELECT count(*) FROM v_log WHERE level = 'warning' AND message LIKE "
                    "'%photos/empty: holds no image%'"),
              0);
  }
}

TEST(Data, AMissingFolderIsOneClearLine) {
  const Scratch scratch;
  scratch.write("m.toml", matrix("{ plugin = \"flowers102\", path = \"nowhere\" }"));
  const Finished finished = run(scratch, {"run", "m.toml"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("nowhere: holds no setid.mat, itself or in flowers-102/"));
}

TEST(Data, DoctorSaysWhatIsThereAndWhatIsNotWhole) {
  const Scratch scratch;
  const auto image_file = [&](const std::string& name) { scratch.write("data/" + name, png_of(image(1))); };
  scratch.write("data/food-101/meta/classes.txt", "apple_pie\n");
  scratch.write("data/food-101/meta/train.txt", "apple_pie/1\n");
  scratch.write("data/food-101/meta/test.txt", "apple_pie/2\n");
  image_file("food-101/images/apple_pie/1.jpg");
  const Finished text = run(scratch, {"doctor", "--data", "data"});
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("has 1 images, the official distribution 75750"));
  EXPECT_THAT(text.out, HasSubstr("data: holds no setid.mat"));
  const Finished listed = run(scratch, {"doctor", "--data", "data", "--json"});
  const auto findings = nlohmann::json::parse(listed.out);
  int food = 0;
  for (const auto& finding : findings) {
    EXPECT_FALSE(finding.at("whole").get<bool>());
    if (finding.at("dataset") != "food101") continue;
    ++food;
    const bool train = finding.at("split") == "train";
    EXPECT_THAT(finding.at("message").get<std::string>(), HasSubstr(train ? "official" : "images are missing"));
  }
  EXPECT_EQ(food, 2);
  EXPECT_EQ(run(scratch, {"doctor", "--data", "elsewhere"}).status, 2);
}

TEST(Data, DoctorCallsAPartOfCifarPartial) {
  const Scratch scratch;
  scratch.write("data/data_batch_2.bin", std::string(3 * 3073, '\1'));
  const Finished text = run(scratch, {"doctor", "--data", "data"});
  EXPECT_THAT(text.out, ::testing::ContainsRegex("cifar +train +not whole: .*data: is partial: 3 of the 50000 official "
                                                 "images; not there: data_batch_1.bin, data_batch_3.bin"));
  EXPECT_THAT(text.out, ::testing::ContainsRegex("cifar +test +not usable: .*neither test_batch.bin nor test.bin"));
  const Finished listed = run(scratch, {"doctor", "--data", "data", "--json"});
  for (const auto& finding : nlohmann::json::parse(listed.out)) {
    const bool train = finding.at("dataset") == "cifar" && finding.at("split") == "train";
    EXPECT_EQ(finding.at("found").get<bool>(), train) << finding;
    EXPECT_EQ(finding.at("samples").get<int>(), train ? 3 : 0) << finding;
  }
}

TEST(Data, DoctorFindsAWholeSetOfTheRightSize) {
  const Scratch scratch;
  std::string records(std::size_t{10'000} * 3073, '\0');
  for (std::size_t i = 0; i < 10'000; ++i) records[i * 3073] = static_cast<char>(i % 10);
  scratch.write("data/test_batch.bin", records);
  scratch.write("data/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
  const Finished finished = run(scratch, {"doctor", "--data", "data"});
  EXPECT_THAT(finished.out, ::testing::ContainsRegex("cifar +test +whole: 10000 samples, 10 classes"));
}

TEST(Data, DoctorFindsAWholeSet) {
  REQUIRE_SHARED("usps/usps.h5");
  const Scratch scratch;
  const Finished finished = run(scratch, {"doctor", "--data", kShared.string()});
  EXPECT_THAT(finished.out, HasSubstr("whole: 7291 samples, 10 classes"));
  EXPECT_THAT(finished.out, HasSubstr("whole: 2007 samples, 10 classes"));
}

}  // namespace
}  // namespace nmlbench::testing
