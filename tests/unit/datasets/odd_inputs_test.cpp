// Inputs as people have them: files that systems leave behind, labels that are odd one at a time, lists from Windows
// and spreadsheets, shards whose names have dots. None of it may change numbers in silence.
#include "datasets/images/listing.h"
#include "support/datasets.h"
#include "support/images.h"
#include "support/surroundings.h"
#include "support/tar.h"

#include <nmlbench/random.h>
#include <nmlbench/warning.h>

#include <cstdio>
#include <cstdlib>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::tar_of;
using testing::TarMember;
using Split = testing::OpenedDataset;

std::string small_png(std::uint64_t seed = 1) {
  return testing::png_of(Stream(seed).integers({2, 2, 3}, 256).to(torch::kUInt8));
}

class OddInputs : public ::testing::Test {
 protected:
  void SetUp() override {
    set_warning_sink([this](const std::string& text) { warnings_ += text + "\n"; });
  }
  void TearDown() override {
    set_warning_sink([](const std::string& text) { std::fputs((text + "\n").c_str(), stderr); });
  }

  std::string at(const std::string& name) const { return (scratch_ / name).string(); }
  Split folder(testing::Values values = {}) const {
    values.emplace_back("path", at("data"));
    return Split("image-folder", values);
  }
  Split list(const std::string& name, testing::Values values = {}) const {
    values.emplace_back("list", at(name));
    return Split("image-list", values);
  }
  Split shard(const std::vector<TarMember>& members, testing::Values values = {}) const {
    scratch_.write("d.tar", tar_of(members));
    values.emplace_back("path", at("d.tar"));
    return Split("webdataset", values);
  }
  // What opening and reading says.
  static std::string error(const std::function<Split()>& open) {
    return testing::data_error([&] {
      const Split split = open();
      split.dataset->digest();
      split.all();
    });
  }
  void write_images(const std::vector<std::string>& names) const {
    for (const std::string& name : names) scratch_.write(name, small_png());
  }

  testing::Scratch scratch_;
  const testing::Surrounded surrounded_{scratch_ / "cache"};
  std::string warnings_;
};

TEST_F(OddInputs, SystemFilesAreNeitherImagesNorClasses) {
  write_images({"data/ant/1.png", "data/bee/2.png", "data/ant/.ipynb_checkpoints/1.png", "data/@eaDir/x.png"});
  for (const char* name : {"data/ant/._1.png", "data/__MACOSX/ant/._1.png", "data/bee/Thumbs.db", "data/bee/.DS_Store",
                           "data/bee/desktop.ini"}) {
    scratch_.write(name, "no image");
  }
  const Split split = folder();
  EXPECT_THAT(split.labels(), ElementsAre(0, 1));
  EXPECT_THAT(split.info.class_names, ElementsAre("ant", "bee"));
  EXPECT_EQ(warnings_, "");
}

TEST_F(OddInputs, FilesThatAreLeftOutAreCounted) {
  write_images({"data/ant/1.png", "data/bee/2.png"});
  scratch_.write("data/bee/3.ppm", "P6");
  scratch_.write("data/bee/4.tif", "II");
  EXPECT_EQ(folder().info.size, 2);
  EXPECT_THAT(warnings_, AllOf(HasSubstr("left out 2 files (.ppm 1, .tif 1; the first is"), HasSubstr("bee/3.ppm")));
  std::filesystem::remove(scratch_ / "data/bee/2.png");
  EXPECT_THAT(error([&] { return folder(); }), AllOf(HasSubstr("data/bee: holds no image"), HasSubstr(".tif 1")));
}

TEST_F(OddInputs, FoldersOfSplitsAreNoClasses) {
  write_images({"data/train/ant/1.png", "data/Test/ant/1.png"});
  EXPECT_THAT(error([&] { return folder(); }), AllOf(HasSubstr("look like splits"), HasSubstr("split = \"train\"")));
  EXPECT_EQ(folder({{"split_by", "folder"}, {"split", "train"}}).info.classes, 1);
  scratch_.write("classes.txt", "train\nTest\n");
  EXPECT_EQ(folder({{"class_file", at("classes.txt")}}).info.classes, 2);
}

TEST_F(OddInputs, AClassOfAFileNeedsNoFolderAndAFolderWithoutAClassIsTold) {
  write_images({"data/ant/1.png", "data/cat/2.png", "data/cow/3.png"});
  scratch_.write("classes.txt", "ant\nbee\ncat\n");
  const Split split = folder({{"class_file", at("classes.txt")}});
  EXPECT_THAT(split.labels(), ElementsAre(0, 2));
  EXPECT_EQ(split.info.classes, 3);
  EXPECT_THAT(warnings_, HasSubstr("does not name, the first is cow"));
}

TEST_F(OddInputs, OneOddLabelDoesNotMakeNamesOfNumbers) {
  write_images({"1.png", "2.png", "3.png"});
  const auto with = [&](const std::string& odd) {
    scratch_.write("list.txt", "1.png 10\n2.png 9\n3.png " + odd + "\n");
    return error([&] { return list("list.txt"); });
  };
  EXPECT_THAT(with("-1"), HasSubstr("list.txt:3: the label -1 is no class number"));
  EXPECT_THAT(with("2.5"), HasSubstr("list.txt:3: the label 2.5 is no class number"));
  for (const char* odd : {"null", "true", "nan", "unknown"}) {
    EXPECT_THAT(with(odd), HasSubstr("list.txt:3: the label \"" + std::string(odd) + "\" is no number, and 2 other"));
  }
  scratch_.write("list.txt", "1.png 10.0\n2.png 9\n3.png 2.0\n");  // as pandas writes them beside a gap
  EXPECT_THAT(list("list.txt").labels(), ElementsAre(10, 9, 2));
  scratch_.write("list.csv", "path,label\n1.png, 10\n2.png,9\n3.png,\n");
  EXPECT_THAT(error([&] { return list("list.csv"); }), HasSubstr("list.csv:4: has no label"));
}

TEST_F(OddInputs, NamesThatAreNumbersCanBeGiven) {
  write_images({"1.png", "2.png", "3.png"});
  scratch_.write("list.txt", "1.png golf\n2.png 911\n3.png golf\n");
  EXPECT_THAT(error([&] { return list("list.txt"); }), HasSubstr("list.txt:2: the label \"911\" is a number, and 2"));
  scratch_.write("classes.txt", "golf\n911\n");
  EXPECT_THAT(list("list.txt", {{"class_file", at("classes.txt")}}).labels(), ElementsAre(0, 1, 0));
}

TEST_F(OddInputs, ListsOfWindowsAndSpreadsheetsAreRead) {
  write_images({"img/1.png", "img/2.png"});
  const std::string mark = "\xEF\xBB\xBF";
  scratch_.write("list.txt", mark + "img\\1.png\t1\r\nimg\\2.png\t0\r\n");
  EXPECT_THAT(list("list.txt").labels(), ElementsAre(1, 0));
  scratch_.write("list.csv", mark + "label;path\r\n1 ; \"img/1.png\"\r\n 0;img/2.png\r\n");
  EXPECT_THAT(list("list.csv").labels(), ElementsAre(1, 0));
  for (const std::string& bytes : {std::string("\xFF\xFEi\0m\0", 6), std::string("\xFE\xFF\0i\0m", 6)}) {
    scratch_.write("list.txt", bytes);
    EXPECT_THAT(error([&] { return list("list.txt"); }), HasSubstr("list.txt: is UTF-16 text; save it as UTF-8"));
  }
}

TEST_F(OddInputs, HeadingsOfAListAreNamed) {
  write_images({"1.png", "2.png"});
  scratch_.write("list.txt", "# path label\n1.png 0\n2.png 1\n");
  EXPECT_THAT(error([&] { return list("list.txt"); }), HasSubstr("list.txt:1: the label \"label\" is no number"));
  scratch_.write("list.txt", "path label\n1.png ant\n2.png bee\n");
  EXPECT_THAT(error([&] { return list("list.txt"); }), HasSubstr("list.txt:1: there is no"));
}

TEST_F(OddInputs, AMissingFileWithAccentsSaysWhatMayBe) {
  write_images({"e\xCC\x81t\xC3\xA9/1.png"});
  scratch_.write("list.txt", "\xC3\xA9t\xC3\xA9/1.png 0\n");
  const auto dataset = make_dataset(testing::plugin(PluginKind::dataset, "image-list", {{"list", at("list.txt")}}));
  EXPECT_THAT(testing::data_error([&] { dataset->digest(); }), HasSubstr("NFC or NFD"));
}

TEST_F(OddInputs, ImagesOfAShardAreNotLostToADot) {
  const std::string png = small_png();
  const auto message = [&](const std::vector<TarMember>& members) { return error([&] { return shard(members); }); };
  EXPECT_THAT(message({{"1.png", png}, {"1.cls", "0"}, {"22.05_2.png", png}, {"22.05_2.cls", "1"}}),
              AllOf(HasSubstr("1 images would be left out, the first is \"22.05_2.png\""), HasSubstr("first dot")));
  EXPECT_THAT(message({{"a 2.0.png", png}, {"a 2.0.cls", "0"}}), HasSubstr("1 images would be left out"));
  EXPECT_THAT(message({{"1.input.jpg", png}, {"1.cls", "0"}}), HasSubstr("\".input.jpg\""));
  EXPECT_THAT(message({{"1.png", png}, {"1.cls", "0"}, {"2.tif", "II"}, {"2.cls", "1"}}),
              HasSubstr("images in shards end in .jpg"));
  EXPECT_EQ(message({{"1.png", png}, {"1.cls", "0"}, {"1.mask.png", png}}), "no error");  // has its image
}

TEST_F(OddInputs, MembersOfASampleThatLieApartAreNamed) {
  const std::string png = small_png();
  EXPECT_THAT(error([&] {
                return shard({{"1.cls", "0"}, {"2.cls", "1"}, {"1.png", png}, {"2.png", png}});
              }),
              HasSubstr("the members of sample \"1\" do not lie next to each other"));
}

TEST_F(OddInputs, WhatAMacPutsIntoAShardIsPassedOver) {
  const std::string png = small_png();
  const Split split = shard({{"./._1.png", "x"}, {"./1.png", png}, {"./1.cls", "1"}, {"__MACOSX/2.png", "x"}});
  EXPECT_THAT(split.labels(), ElementsAre(1));
}

TEST_F(OddInputs, JsonLabelsAreNumbersOrNames) {
  const std::string png = small_png();
  const auto with = [&](const std::string& odd) {
    return shard({{"1.png", png},
                  {"1.json", R"({"label":10})"},
                  {"2.png", png},
                  {"2.json", R"({"label":"9"})"},
                  {"3.png", png},
                  {"3.json", "{\"label\":" + odd + "}"}},
                 {{"label", "json"}});
  };
  EXPECT_THAT(with("2.0").labels(), ElementsAre(10, 9, 2));
  EXPECT_THAT(error([&] { return with("-1"); }), HasSubstr("d.tar: 3: the label -1 is no class number"));
  for (const char* odd : {"null", "true", "[1]"}) {
    EXPECT_THAT(error([&] { return with(odd); }), HasSubstr("3.json: the field \"label\" is " + std::string(odd)));
  }
  EXPECT_THAT(error([&] { return with("\"cat\""); }), HasSubstr("d.tar: 3: the label \"cat\" is no number"));
}

TEST_F(OddInputs, ShardsAreFoundByPatternsOfBraces) {
  for (int i = 8; i < 12; ++i) {
    const std::string number = i < 10 ? "0" + std::to_string(i) : std::to_string(i);
    scratch_.write("s/a-" + number + ".tar", tar_of({{"1.png", small_png()}, {"1.cls", std::to_string(i)}}));
  }
  scratch_.write("s/._a-08.tar", "no tar");
  const auto read = [&](const std::string& path, const std::string& shards) {
    return Split("webdataset", {{"path", at(path)}, {"shards", shards}});
  };
  EXPECT_THAT(read("s", "a-{09..11}.tar").labels(), ElementsAre(9, 10, 11));
  EXPECT_THAT(read("s/a-{08,10}.tar", "*.tar").labels(), ElementsAre(8, 10));
  EXPECT_THAT(read("s/a-1?.tar", "*.tar").labels(), ElementsAre(10, 11));
  EXPECT_EQ(read("s", "*.tar").info.size, 4);
  EXPECT_THAT(error([&] { return read("s", "a-{10..12}.tar"); }), HasSubstr("no file is called a-12.tar"));
}

TEST_F(OddInputs, PackedShardsSayHow) {
  scratch_.write("d.tar", std::string("\x1F\x8B\x08\0\0\0\0\0", 8));
  EXPECT_THAT(error([&] { return Split("webdataset", {{"path", at("d.tar")}}); }), HasSubstr("is compressed (gzip)"));
}

TEST_F(OddInputs, PipesAreNotWaitedFor) {
  ASSERT_EQ(::mkfifo(at("pipe.txt").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo(at("pipe.npy").c_str(), 0600), 0);
  write_images({"data/ant/1.png"});
  EXPECT_THAT(error([&] { return list("pipe.txt"); }), HasSubstr("pipe.txt: is no regular file"));
  EXPECT_THAT(error([&] { return folder({{"class_file", at("pipe.txt")}}); }), HasSubstr("is no regular file"));
  EXPECT_THAT(error([&] {
                return Split("npy-images", {{"x", at("pipe.npy")}, {"y", at("pipe.txt")}});
              }),
              HasSubstr("pipe.npy: is not a file"));
}

TEST(Fractions, AreCutAsDecimalNumbers) {
  const std::vector<std::int64_t> labels(50, 0);
  EXPECT_EQ(plugins::cut(labels, 0.29, 0, true).size(), 15U);  // 14.5 is rounded up
  EXPECT_EQ(plugins::cut(labels, 0.29, 0, false).size(), 35U);
}

}  // namespace
}  // namespace nmlbench
