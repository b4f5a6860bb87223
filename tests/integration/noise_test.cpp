// Noise as a user asks for it in a matrix, up to what the database says about it.
#include "integration/matrices.h"
#include "support/program.h"
#include "support/shared_data.h"

#include <map>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;

std::string with_noise(std::string text, const std::string& noise) {
  const std::string from = "{ plugin = \"symmetric\", ratio = [0.0, 0.3] }";
  return text.replace(text.find(from), from.size(), noise);
}

// Runs the tiny matrix with one seed, one tuner and that noise.
Finished run_with(const Scratch& scratch, const std::string& noise, const std::vector<std::string>& more = {}) {
  std::string text = with_noise(kTiny, noise);
  text.erase(text.find("[[tuner]]\nplugin = \"mlp\""));
  scratch.write("tiny.toml", text);
  std::vector<std::string> arguments = {
      "run", "tiny.toml", "--set", "matrix.seeds=[0]", "--set", "pretrain.optim.epochs=1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(scratch, arguments);
}

struct NoiseRow {
  std::string noise;
  double ratio = 0, realised = 0;
  std::string transition;
};

NoiseRow only_noise_row(const Scratch& scratch) {
  const SQLite::Database database((scratch / "nmlbench.sqlite").string());
  SQLite::Statement query(database, "SELECT noise, noise_ratio, realised_rate, transition FROM v_noise");
  EXPECT_TRUE(query.executeStep());
  NoiseRow row{query.getColumn(0).getString(), query.getColumn(1).getDouble(), query.getColumn(2).getDouble(),
               query.getColumn(3).getString()};
  EXPECT_FALSE(query.executeStep());
  return row;
}

TEST(NoiseOfAMatrix, AListIsAppliedInItsOrder) {
  const Scratch scratch;
  const Finished finished =
      run_with(scratch, "[{ plugin = \"long-tail\", factor = 5 }, { plugin = \"asymmetric\", ratio = 0.25 }]");
  ASSERT_EQ(finished.status, 0) << finished.err;
  const NoiseRow row = only_noise_row(scratch);
  EXPECT_EQ(row.noise, "long-tail(factor=5)+asymmetric");
  EXPECT_EQ(row.ratio, 0.25);
  // classes keep 40, 23, 14, 8 samples, of which 10, 6, 4, 2 go to the next class
  EXPECT_DOUBLE_EQ(row.realised, 22.0 / 85);
  EXPECT_THAT(row.transition, HasSubstr("[0.75,0.25,0.0,0.0]"));
  EXPECT_THAT(row.transition, HasSubstr("[0.25,0.0,0.0,0.75]"));
  EXPECT_EQ(count(scratch / "nmlbench.sqlite",
                  "SELECT count(DISTINCT noise) FROM v_results WHERE noise = 'long-tail(factor=5)+asymmetric'"),
            1);
}

TEST(NoiseOfAMatrix, ARatioIsARatioWhateverItIsCalled) {
  const Scratch scratch;
  const Finished finished = run_with(scratch, "{ plugin = \"never-clean\", rate = [0.1, 0.4] }",
                                     {"--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  for (const char* ratio : {"0.1", "0.4"}) {
    EXPECT_EQ(count(scratch / "nmlbench.sqlite",
                    std::string("SELECT count(DISTINCT cell_id) FROM v_results WHERE noise = 'never-clean' AND "
                                "noise_ratio = ") +
                        ratio),
              1);
  }
}

TEST(NoiseOfAMatrix, WebImagesComeFromADeclaredSource) {
  const Scratch scratch;
  const std::string source = "{ plugin = \"procedural\", task = \"texture\", classes = 4, per_class = 20 }";
  const Finished finished = run_with(scratch, "{ plugin = \"web\", ratio = 0.5, source = " + source + " }");
  ASSERT_EQ(finished.status, 0) << finished.err;
  const NoiseRow row = only_noise_row(scratch);
  EXPECT_THAT(row.noise, HasSubstr("web(source=procedural("));
  EXPECT_DOUBLE_EQ(row.realised, 0.5);
  EXPECT_THAT(row.transition, HasSubstr("[1.0,0.0,0.0,0.0]"));
}

// The tiny matrix on image-text pairs.
std::string pairs(std::string text) {
  for (const auto& [from, to] : std::map<std::string, std::string>{
           {"\"resnet-tiny\", width = 4", "\"clip-tiny\", width = 4, embedding = 8, text_width = 8"},
           {"classes = 4, per_class = 40", "classes = 4, per_class = 40, captions = true"}}) {
    text.replace(text.find(from), from.size(), to);
  }
  return text;
}

TEST(NoiseOfAMatrix, SwappedCaptionsReachAnEncoderOfPairs) {
  const Scratch scratch;
  std::string text = with_noise(pairs(kTiny), "{ plugin = \"caption-swap\", ratio = [0.0, 0.25] }");
  text.erase(text.find("[[tuner]]\nplugin = \"mlp\""));
  scratch.write("tiny.toml", text);
  const Finished finished = run(scratch, {"run", "tiny.toml", "--set", "matrix.seeds=[0]"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto db = scratch / "nmlbench.sqlite";
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_cells WHERE status = 'done'"), 2);
  const SQLite::Database database(db.string());
  SQLite::Statement query(database,
                          "SELECT encoder, noise, noise_ratio, realised_rate, transition FROM v_noise ORDER BY 3");
  for (const double ratio : {0.0, 0.25}) {  // of 160 pairs
    ASSERT_TRUE(query.executeStep());
    EXPECT_EQ(query.getColumn(0).getString(), "clip-tiny");
    EXPECT_EQ(query.getColumn(1).getString(), "caption-swap");
    EXPECT_EQ(query.getColumn(2).getDouble(), ratio);
    EXPECT_EQ(query.getColumn(3).getDouble(), ratio);
    EXPECT_TRUE(query.getColumn(4).isNull());
  }
  EXPECT_FALSE(query.executeStep());
  // the noise is in the weights: the two encoders see the same test images differently
  EXPECT_EQ(count(db, "SELECT count(DISTINCT value) FROM v_results WHERE metric = 'sve_raw' AND test_kind = 'id'"), 2);
}

TEST(NoiseOfAMatrix, AnEncoderOfPairsThatGetsNoneFailsItsCellsAlone) {
  const Scratch scratch;
  std::string text = with_noise(kTiny, "{ plugin = \"symmetric\", ratio = 0.3 }");
  const std::string from = "encoder = { plugin = \"resnet-tiny\", width = 4 }";
  const std::size_t section = text.find("[[pretrain]]"), end = text.find("[[task]]");
  std::string other = text.substr(section, end - section);
  other.replace(other.find(from), from.size(), "encoder = { plugin = \"clip-tiny\" }");
  text.insert(end, other);
  text.erase(text.find("[[tuner]]\nplugin = \"mlp\""));
  scratch.write("tiny.toml", text);
  const Finished finished =
      run(scratch, {"run", "tiny.toml", "--set", "matrix.seeds=[0]", "--set", "pretrain[0].optim.epochs=1"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, ::testing::ContainsRegex("1 cells failed: [^\n]*tiny.toml:[0-9]+:[^\n]*: clip-tiny is "
                                                     "pre-trained on image-text pairs, and the data have no captions"));
  EXPECT_EQ(finished.err.find("clip-tiny is"), finished.err.rfind("clip-tiny is")) << finished.err;
  const auto db = scratch / "nmlbench.sqlite";
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_cells WHERE status = 'failed' AND encoder = 'clip-tiny'"), 1);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_cells WHERE status = 'done' AND encoder = 'resnet-tiny'"), 1);
}

TEST(NoiseOfAMatrix, AFileThatDoesNotFitIsSaidWithItsPlace) {
  const Scratch scratch;
  scratch.write("short.txt", "0\n1\n");
  const Finished finished = run_with(scratch, "{ plugin = \"human\", labels = \"short.txt\" }");
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("tiny.toml:9:"));
  EXPECT_THAT(finished.err, HasSubstr("short.txt: has 2 rows of labels and the set has 160 samples"));
  const Finished absent = run_with(scratch, "{ plugin = \"human\", labels = \"absent.txt\" }");
  EXPECT_EQ(absent.status, 2);
  EXPECT_THAT(absent.err, HasSubstr("absent.txt\": no such file"));
}

// Noise is for pre-training: the labels that tuners and tests see stay those of the data, even of the very split that
// was corrupted.
TEST(NoiseOfAMatrix, ReachesNoLabelOfATask) {
  const Scratch scratch;
  std::string text = with_noise(kTiny, "{ plugin = \"symmetric\", ratio = [0.0, 1.0] }");
  const std::string from = "train = { plugin = \"procedural\", classes = 4, per_class = 80 }";
  text.replace(text.find(from), from.size(),
               "train = { plugin = \"procedural\", split = \"pretrain\", classes = 4, per_class = 40 }");
  scratch.write("tiny.toml", text);
  const Finished finished = run(
      scratch, {"features", "tiny.toml", "-o", "out", "--set", "matrix.seeds=[0]", "--set", "pretrain.optim.epochs=1"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  std::map<std::string, std::vector<std::string>> labels;  // file name -> its content under each checkpoint
  for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch / "out")) {
    const std::string name = entry.path().filename().string();
    if (name.size() > 6 && name.substr(name.size() - 6) == "_y.npy") labels[name].push_back(read_text(entry.path()));
  }
  ASSERT_EQ(labels.size(), 3U);  // train, two test sets
  for (const auto& [name, contents] : labels) {
    ASSERT_EQ(contents.size(), 2U) << name;
    EXPECT_EQ(contents[0], contents[1]) << name;
  }
}

// 1,000 images in CIFAR-10's format and labels that people gave them: of the set itself, or made up.
class LabelsOfPeople : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { GetParam() == std::string("real") ? take_real() : make_up(); }

  void make_up() {
    images_ = scratch_.path();
    std::string records;
    csv_ = "index,clean_label,aggre_label,worse_label\n";
    for (int i = 0; i < 1000; ++i) {
      const int label = i * 7 % 10, worse = i % 3 == 0 ? (label + 1 + i % 8) % 10 : label;
      records += std::string(1, static_cast<char>(label)) + std::string(3072, static_cast<char>(20 * label + i % 17));
      for (const int number : {i, label, label}) csv_ += std::to_string(number) + ",";
      csv_ += std::to_string(worse) + "\n";
    }
    scratch_.write("data_batch_1.bin", records);
  }

  void take_real() {
    REQUIRE_SHARED("cifar10-bin-sample");
    REQUIRE_SHARED("cifar-n/cifar10n_labels.csv.gz");
    images_ = std::filesystem::absolute(kShared / "cifar10-bin-sample").lexically_normal();
    const auto file = kShared / "cifar-n/cifar10n_labels.csv.gz";
    const gzFile in = ::gzopen(file.c_str(), "rb");
    char line[256];
    for (int i = 0; i < 1001 && ::gzgets(in, line, sizeof(line)) != nullptr; ++i) csv_ += line;
    ::gzclose(in);
  }

  Finished run_human(const Scratch& scratch, const std::string& more) const {
    scratch.write("labels.csv", csv_);
    const std::string human = R"({ plugin = "human", labels = "labels.csv", column = "worse_label", )"
                              R"(clean_column = "clean_label" })";
    std::string text = with_noise(kTiny, human);
    const std::string from = "{ plugin = \"procedural\", split = \"pretrain\", classes = 4, per_class = 40 }";
    text.replace(text.find(from), from.size(),
                 "{ plugin = \"cifar\", path = \"" + images_.string() + "\"" + more + " }");
    text.erase(text.find("[[tuner]]\nplugin = \"mlp\""));
    scratch.write("tiny.toml", text);
    return run(scratch, {"run", "tiny.toml", "--set", "matrix.seeds=[0]", "--set", "pretrain.optim.epochs=1"});
  }

  const Scratch scratch_;
  std::filesystem::path images_;
  std::string csv_;
};
INSTANTIATE_TEST_SUITE_P(Images, LabelsOfPeople, ::testing::Values("made_up", "real"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(LabelsOfPeople, AreRecordedAsTheyAre) {
  const Scratch scratch;
  const Finished finished = run_human(scratch, "");
  ASSERT_EQ(finished.status, 0) << finished.err;
  int wrong = 0;
  std::istringstream lines(csv_);
  std::string line;
  std::getline(lines, line);  // index,clean_label,aggre_label,worse_label,...
  while (std::getline(lines, line)) {
    int index = 0, clean = 0, aggregate = 0, worse = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%d,%d,%d,%d", &index, &clean, &aggregate, &worse), 4);
    wrong += clean != worse;
  }
  const NoiseRow row = only_noise_row(scratch);
  EXPECT_DOUBLE_EQ(row.realised, wrong / 1000.0);
  EXPECT_EQ(row.noise, "human(labels=labels.csv,column=worse_label)");
}

// The clean column agrees, so every image of the part has found its own row.
TEST_P(LabelsOfPeople, FollowTheImagesOfALimit) {
  const Scratch scratch;
  const Finished finished = run_human(scratch, ", limit = 300");
  EXPECT_EQ(finished.status, 0) << finished.err;
}

}  // namespace
}  // namespace nmlbench::testing
