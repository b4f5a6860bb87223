// Whatever a user gets wrong is one clear line on standard error and status 2.
#include "integration/matrices.h"
#include "support/npy.h"
#include "support/program.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

void expect_one_line(const Finished& finished, const std::vector<std::string>& fragments) {
  EXPECT_EQ(finished.status, 2);
  EXPECT_EQ(finished.out, "");
  EXPECT_THAT(finished.err, StartsWith("nmlbench: error: "));
  EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
  for (const std::string& fragment : fragments) EXPECT_THAT(finished.err, HasSubstr(fragment));
}

struct Mistake {
  std::string name;
  std::string from, to;                // replaced in the tiny matrix
  std::vector<std::string> fragments;  // of the message
};
void PrintTo(const Mistake& value, std::ostream* out) {
  *out << value.name;
}

class Matrix : public ::testing::TestWithParam<Mistake> {};

INSTANTIATE_TEST_SUITE_P(
    Mistakes, Matrix,
    ::testing::Values(
        Mistake{"UnknownSection", "[[tuner]]", "[[tunr]]", {"tiny.toml:", "tunr", "did you mean \"tuner\""}},
        Mistake{"UnknownKey", "seeds =", "seed =", {"tiny.toml:", "seed"}},
        Mistake{"UnknownParameter", "width = 4", "widht = 4", {"tiny.toml:7:", "widht", "did you mean \"width\""}},
        Mistake{"UnknownPlugin", "\"nmtune\"", "\"nmtun\"", {"tiny.toml:", "nmtun", "did you mean \"nmtune\""}},
        Mistake{"UnknownOptim", "batch_size = 32", "batchsize = 32", {"tiny.toml:", "did you mean \"batch_size\""}},
        Mistake{"WrongType", "width = 4", "width = \"four\"", {"tiny.toml:7:", "an integer", "\"four\""}},
        Mistake{"Fraction", "width = 4", "width = 4.5", {"tiny.toml:7:", "an integer", "4.5"}},
        Mistake{"OutOfRange", "ratio = [0.0, 0.3]", "ratio = [0.0, 1.3]", {"tiny.toml:9:", "1.3", "[0, 1]"}},
        Mistake{"TwiceInAnAxis", "ratio = [0.0, 0.3]", "ratio = [0.3, 0.3]", {"tiny.toml:9:", "twice"}},
        Mistake{"EmptyAxis", "ratio = [0.0, 0.3]", "ratio = []", {"tiny.toml:9:", "empty"}},
        Mistake{"BadKind", "kind = \"ood\"", "kind = \"odd\"", {"tiny.toml:", "odd"}},
        Mistake{"NoToml", "[matrix]", "[matrix", {"tiny.toml:"}},
        Mistake{"SeedsThatAreNoList", "seeds = [0, 1]", "seeds = 5", {"tiny.toml:4:", "seeds = [5]", "[0, 1, 2]"}},
        Mistake{"NegativeSeed", "seeds = [0, 1]", "seeds = [0, -1]", {"tiny.toml:4:", "-1"}},
        Mistake{
            "Tf32OnACpu", "lr = 0.05", "lr = 0.05, precision = \"tf32\"", {"optim.precision", "needs a GPU", "cpu"}},
        Mistake{"NothingToTrain", "\"resnet-tiny\", width = 4", "\"pixels\"", {"tiny.toml:", "nothing to train"}},
        Mistake{
            "WorldTooLarge", "split = \"pretrain\", classes = 4", "split = \"pretrain\", classes = 4000", {"at most"}},
        Mistake{"TwoTestsOfOneName", "domain = \"sketch\"", "domain = \"photo\"", {"tiny.toml:", "two test sets"}}),
    [](const auto& info) { return info.param.name; });

TEST_P(Matrix, IsRefusedWithItsPlace) {
  const Scratch scratch;
  std::string text = kTiny;
  const std::size_t at = text.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, GetParam().from.size(), GetParam().to);
  scratch.write("tiny.toml", text);
  expect_one_line(run(scratch, {"run", "tiny.toml"}), GetParam().fragments);
  EXPECT_FALSE(std::filesystem::exists(scratch / "nmlbench.sqlite"));
}

TEST(BadInput, AMissingMatrix) {
  const Scratch scratch;
  expect_one_line(run(scratch, {"run", "quik"}), {"quik", "did you mean \"quick\""});
}

TEST(BadInput, AnOverrideWithoutItsKey) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  expect_one_line(run(scratch, {"run", "tiny.toml", "--set", "tunner.lr=1"}), {"--set tunner.lr=1", "tuner"});
  expect_one_line(run(scratch, {"run", "tiny.toml", "--set", "tuner[9].lr=1"}), {"--set tuner[9].lr=1", "3 elements"});
  expect_one_line(run(scratch, {"run", "tiny.toml", "--set", "nonsense"}), {"KEY=VALUE"});
}

TEST(BadInput, AShardThatIsNone) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  for (const char* shard : {"0/2", "3/2", "1", "a/b", "1/2x"}) {
    expect_one_line(run(scratch, {"run", "tiny.toml", "--shard", shard}), {"--shard", "I/N"});
  }
}

TEST(BadInput, ADeviceThatIsNotThere) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  expect_one_line(run(scratch, {"run", "tiny.toml", "--device", "cuda:77"}), {"cuda:77"});
  expect_one_line(run(scratch, {"run", "tiny.toml", "--device", "tpu"}), {"tpu", "cpu"});
}

TEST(BadInput, ADatabaseThatIsNoneOrCannotBeWritten) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  scratch.write("text.sqlite", std::string(5000, 'x'));
  expect_one_line(run(scratch, {"run", "tiny.toml", "--db", "text.sqlite"}), {"text.sqlite"});
  EXPECT_EQ(read_text(scratch / "text.sqlite"), std::string(5000, 'x'));
  expect_one_line(run(scratch, {"run", "tiny.toml", "--db", "no/such/folder/r.sqlite"}), {"no/such/folder"});
  expect_one_line(run(scratch, {"leaderboard", "--db", "absent.sqlite"}), {"absent.sqlite"});
}

TEST(BadInput, ACacheThatCannotBeWritten) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  scratch.write("file", "");
  expect_one_line(run(scratch, {"run", "tiny.toml", "--cache-dir", "file/cache"}), {"file/cache", "--cache-dir"});
}

TEST(BadInput, DataThatEveryCellNeeds) {
  const Scratch scratch;
  scratch.write("frozen.toml", kFrozen);
  expect_one_line(run(scratch, {"run", "frozen.toml"}), {"frozen.toml:", "x.npy"});
}

TEST(BadInput, AnEncoderThatCannotReadItsData) {
  const Scratch scratch;
  std::string text = kTiny;
  const std::string from = "\"resnet-tiny\", width = 4";
  scratch.write("tiny.toml", text.replace(text.find(from), from.size(), "\"clip-tiny\""));
  expect_one_line(run(scratch, {"run", "tiny.toml"}),
                  {"tiny.toml:7:", "clip-tiny is pre-trained on image-text pairs, and the data have no captions",
                   "captions = true"});
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_cells"), 0);
}

TEST(BadInput, APluginFolderThatIsNotThere) {
  const Scratch scratch;
  expect_one_line(run(scratch, {"plugins", "--plugin-dir", "nowhere"}), {"nowhere"});
}

TEST(BadInput, AnUnknownVerbOrFlag) {
  const Scratch scratch;
  EXPECT_EQ(run(scratch, {"runn"}).status, 2);
  EXPECT_EQ(run(scratch, {"run", "--colour"}).status, 2);
  EXPECT_EQ(run(scratch, {}).status, 2);
  EXPECT_EQ(run(scratch, {"--help"}).status, 0);
  EXPECT_EQ(run(scratch, {"--version"}).status, 0);
}

// Labels that are ids: one of 30 would make 67 million classes, and a head of that size for each.
TEST(BadInput, MoreClassesThanRowsAreMeantOnlyWhereTheyAreStated) {
  const Scratch scratch;
  scratch.write("m.toml", kFrozen);
  torch::Tensor y = torch::arange(30) % 3;
  const torch::Tensor x = torch::randn({30, 4});
  for (const char* name : {"x.npy", "test_x.npy"}) scratch.write(name, npy_bytes(x, "<f4"));
  scratch.write("test_y.npy", npy_bytes(y, "<i8"));
  y[7] = 67'108'866;
  scratch.write("y.npy", npy_bytes(y, "<i8"));
  const Finished refused = run(scratch, {"run", "m.toml"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("m.toml:11"));
  EXPECT_THAT(refused.err, HasSubstr("the labels go up to 67108866, which would be 67108867 classes for 30 rows"));

  y[7] = 60;
  scratch.write("y.npy", npy_bytes(y, "<i8"));
  EXPECT_EQ(run(scratch, {"run", "m.toml"}).status, 2);
  const Finished stated = run(scratch, {"run", "m.toml", "--set", "task.train.classes=61"});
  EXPECT_EQ(stated.status, 0) << stated.err;
}

TEST(BadInput, AProcessorLevelThatDoesNotExistIsNamed) {
  const Scratch scratch;
  scratch.write("m.toml", kTiny);
  ::setenv("NMLBENCH_CPU_LEVEL", "avx1024", 1);
  const Finished finished = run(scratch, {"plan", "m.toml"});
  ::unsetenv("NMLBENCH_CPU_LEVEL");
  EXPECT_EQ(finished.status, 2);
  EXPECT_EQ(finished.err, "nmlbench: error: NMLBENCH_CPU_LEVEL=avx1024: expected plain, avx2, avx512 or amx\n");
}

}  // namespace
}  // namespace nmlbench::testing
