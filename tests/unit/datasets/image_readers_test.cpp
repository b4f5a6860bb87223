// image-folder, image-list, npy-images and webdataset on small files made here.
#include "support/datasets.h"
#include "support/images.h"
#include "support/npy.h"
#include "support/surroundings.h"
#include "support/tar.h"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::jpeg_of;
using testing::png_of;
using Opened = testing::OpenedDataset;
using testing::Scratch;
using testing::tar_of;
using torch::Tensor;

Opened open(const std::string& name, const testing::Values& values) {
  return Opened(name, values);
}

std::string failure(const std::string& name, const testing::Values& values) {
  return testing::data_error([&] { open(name, values).all(); });
}

// uint8 [H, W, 3]
Tensor image(std::uint64_t seed, std::int64_t height = 4, std::int64_t width = 6) {
  return Stream(seed).integers({height, width, 3}, 256).to(torch::kUInt8);
}

class Readers : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return (scratch_ / name).string(); }

  // data/{ant,bee}: two images each, one below another folder, one named against its content.
  void write_folder(const std::string& root = "data") {
    scratch_.write(root + "/ant/1.png", png_of(image(1)));
    scratch_.write(root + "/ant/deep/2.PNG", png_of(image(2)));
    scratch_.write(root + "/bee/3.jpg", png_of(image(3)));
    scratch_.write(root + "/bee/4.png", png_of(image(4)));
    scratch_.write(root + "/bee/notes.txt", "no image");
  }
  Tensor expected(const std::vector<std::uint64_t>& seeds) const {
    std::vector<Tensor> images;
    for (const std::uint64_t seed : seeds) images.push_back(image(seed).permute({2, 0, 1}));
    return torch::stack(images);
  }

  Scratch scratch_;
  const testing::Surrounded surrounded_{scratch_ / "cache"};
};

// Views are cut out of the photo, not out of what is served; the whole of it is what `squash` serves.
TEST_F(Readers, CropsAreOfTheOriginalImage) {
  const Tensor photo = image(9, 40, 60);
  scratch_.write("photos/ant/1.png", png_of(photo));
  scratch_.write("photos/bee/2.png", png_of(image(2, 10, 10)));
  const auto at_8 = [&](const char* resize) {
    return open("image-folder", {{"path", at("photos")},
                                 {"size", std::int64_t{8}},
                                 {"resize", std::string(resize)},
                                 {"interpolation", std::string("bicubic")}});
  };
  const auto crop = [&](const Opened& from, CropBox box) {
    return from.dataset->crops(torch::tensor({0}), [&](std::int64_t, std::int64_t width, std::int64_t height) {
      EXPECT_EQ(std::pair(width, height), std::pair(std::int64_t{60}, std::int64_t{40}));
      return box;
    });
  };
  const Opened folder = at_8("crop");
  const Tensor part = photo.slice(0, 5, 13).slice(1, 7, 15).permute({2, 0, 1}).unsqueeze(0);
  EXPECT_TRUE(torch::equal(crop(folder, {7, 5, 8, 8}), part));
  EXPECT_TRUE(torch::equal(crop(folder, {0, 0, 60, 40}), at_8("squash").at({0})));
  EXPECT_FALSE(torch::equal(crop(folder, {0, 0, 60, 40}), folder.at({0})));
  EXPECT_THROW(crop(folder, {0, 0, 61, 40}), Error);
}

TEST_F(Readers, AFolderIsReadByteForByteInOrder) {
  write_folder();
  const Opened split = open("image-folder", {{"path", at("data")}});
  EXPECT_TRUE(torch::equal(split.all(), expected({1, 2, 3, 4})));
  EXPECT_THAT(split.labels(), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(split.info.class_names, ElementsAre("ant", "bee"));
  EXPECT_EQ(split.info.sample_shape, (std::vector<std::int64_t>{3, 4, 6}));
}

TEST_F(Readers, ASplitByFolderListOrFraction) {
  write_folder("data/train");
  const Opened train = open("image-folder", {{"path", at("data")}, {"split_by", "folder"}});
  EXPECT_EQ(train.info.size, 4);
  EXPECT_THAT(failure("image-folder", {{"path", at("data")}, {"split_by", "folder"}, {"split", "val"}}),
              HasSubstr("data/val: no such folder"));
  EXPECT_THAT(failure("image-folder", {{"path", at("data")}, {"split_by", "folder"}, {"split", "../.."}}),
              HasSubstr("lies outside"));

  const testing::Values listed = {{"path", at("data/train")}, {"split_by", "list"}, {"list", at("list.txt")}};
  scratch_.write("list.txt", "bee/3.jpg\r\n\nant/1.png\n");
  EXPECT_TRUE(torch::equal(open("image-folder", listed).all(), expected({1, 3})));
  scratch_.write("list.txt", "ant/1.png\nbee/9.png\n");
  EXPECT_THAT(failure("image-folder", listed), HasSubstr("list.txt:2: "));
  scratch_.write("list.txt", "../secret.png\n");
  EXPECT_THAT(failure("image-folder", listed), HasSubstr("list.txt:1: \"../secret.png\" lies outside"));
}

TEST_F(Readers, AFractionIsSeededStratifiedAndComplementary) {
  for (int i = 0; i < 20; ++i) {
    scratch_.write("data/" + std::string(i % 2 == 0 ? "a" : "b") + "/" + std::to_string(i) + ".png", png_of(image(1)));
  }
  const auto side = [&](const char* split, std::int64_t seed) {
    return open(
        "image-folder",
        {{"path", at("data")}, {"split_by", "fraction"}, {"split", split}, {"fraction", 0.3}, {"split_seed", seed}});
  };
  EXPECT_THAT(side("val", 0).labels(), ElementsAre(0, 0, 0, 1, 1, 1));
  EXPECT_EQ(side("train", 0).info.size, 14);
  EXPECT_EQ(side("val", 0).dataset->digest(), side("val", 0).dataset->digest());
  EXPECT_NE(side("val", 0).dataset->digest(), side("val", 1).dataset->digest());
}

TEST_F(Readers, AClassFileFixesTheNumbering) {
  write_folder();
  scratch_.write("classes.txt", "bee\nant\n");
  const testing::Values values = {{"path", at("data")}, {"class_file", at("classes.txt")}};
  EXPECT_THAT(open("image-folder", values).labels(), ElementsAre(0, 0, 1, 1));
  EXPECT_TRUE(torch::equal(open("image-folder", values).all(), expected({3, 4, 1, 2})));
  scratch_.write("classes.txt", "bee\n../..\n");
  EXPECT_THAT(failure("image-folder", values), HasSubstr("classes.txt:2: \"../..\" lies outside"));
}

TEST_F(Readers, SizesDifferOnlyWhenASizeIsDeclared) {
  write_folder();
  scratch_.write("data/bee/5.png", png_of(image(5, 9, 3)));
  EXPECT_THAT(failure("image-folder", {{"path", at("data")}}), HasSubstr("is 3 x 9 px and the first image 6 x 4 px"));
  const Opened small = open("image-folder", {{"path", at("data")}, {"size", std::int64_t{8}}, {"colour", "grey"}});
  EXPECT_EQ(small.all().sizes(), (torch::IntArrayRef{5, 1, 8, 8}));
}

TEST_F(Readers, ABrokenImageFailsByNameOrIsLeftOut) {
  write_folder();
  const std::string jpeg = jpeg_of(image(7, 40, 60));
  scratch_.write("data/bee/3.jpg", jpeg.substr(0, jpeg.size() / 2));
  scratch_.write("data/bee/5.png", "");
  const testing::Values sized = {{"path", at("data")}, {"size", std::int64_t{8}}};
  const std::string message = failure("image-folder", sized);
  EXPECT_THAT(message, HasSubstr("data/bee/3.jpg: truncated JPEG (and 1 more of the 5 images read with it)"));
  EXPECT_THAT(message, HasSubstr("broken = \"skip\""));
  testing::Values skipping = sized;
  skipping.emplace_back("broken", "skip");
  const Opened whole = open("image-folder", skipping);
  EXPECT_THAT(whole.labels(), ElementsAre(0, 0, 1));
  EXPECT_NE(whole.dataset->digest(), open("image-folder", sized).dataset->digest());
  fs::remove_all(scratch_ / "data/ant");
  fs::remove(scratch_ / "data/bee/4.png");
  EXPECT_THAT(failure("image-folder", skipping), HasSubstr("no image is left: 2 of 2 images are broken"));
}

TEST_F(Readers, LinksAreFollowedAndLoopsAreErrors) {
  write_folder();
  fs::create_directory_symlink(scratch_ / "data/bee", scratch_ / "data/cat");
  EXPECT_EQ(open("image-folder", {{"path", at("data")}}).info.size, 6);
  fs::create_directory_symlink("..", scratch_ / "data/ant/up");
  EXPECT_THAT(failure("image-folder", {{"path", at("data")}}), HasSubstr("is a link to a folder that contains it"));
  fs::remove(scratch_ / "data/ant/up");
  fs::create_symlink("self.png", scratch_ / "data/ant/self.png");
  EXPECT_THAT(failure("image-folder", {{"path", at("data")}}), HasSubstr("is a link to itself"));
}

TEST_F(Readers, TheCacheServesWhatWasDecodedAndForgetsWhatChanged) {
  write_folder();
  const testing::Values values = {{"path", at("data")}, {"size", std::int64_t{5}}};
  const Tensor first = open("image-folder", values).all();
  EXPECT_FALSE(fs::is_empty(scratch_ / "cache/images"));
  testing::Values uncached = values;
  uncached.emplace_back("cache", false);
  EXPECT_TRUE(torch::equal(open("image-folder", uncached).all(), first));
  EXPECT_TRUE(torch::equal(open("image-folder", values).all(), first));

  for (const auto& entry : fs::recursive_directory_iterator(scratch_ / "cache/images")) {
    if (entry.path().extension() != ".rows") continue;
    std::fstream rows(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    rows.seekp(3);
    rows.put('\x5a');  // a damaged row is decoded anew
  }
  EXPECT_TRUE(torch::equal(open("image-folder", values).all(), first));

  scratch_.write("data/ant/1.png", png_of(image(99)));
  EXPECT_FALSE(torch::equal(open("image-folder", values).all(), first));
}

TEST_F(Readers, ThreadsDoNotChangeWhatIsServed) {
  for (std::uint64_t i = 0; i < 30; ++i) {
    scratch_.write("data/a/" + std::to_string(i) + ".png", png_of(image(i, 20, 30)));
  }
  const auto served = [&](std::int64_t threads) {
    return open("image-folder",
                {{"path", at("data")}, {"size", std::int64_t{9}}, {"threads", threads}, {"cache", false}})
        .all();
  };
  EXPECT_TRUE(torch::equal(served(1), served(7)));
}

TEST_F(Readers, ListsOfLinesAndTables) {
  write_folder();
  scratch_.write("data/with blank.png", png_of(image(5)));
  scratch_.write("data/train.txt", "ant/1.png 1\nwith blank.png\t0\n  \nbee/4.png   1\n");
  const Opened lines = open("image-list", {{"list", at("data/train.txt")}});
  EXPECT_TRUE(torch::equal(lines.all(), expected({1, 5, 4})));
  EXPECT_THAT(lines.labels(), ElementsAre(1, 0, 1));
  EXPECT_EQ(lines.info.classes, 2);

  scratch_.write("table.csv", "label,id,path\nwasp,1,\"with blank.png\"\nant,2,ant/1.png\n");
  const Opened table = open("image-list", {{"list", at("table.csv")}, {"root", at("data")}});
  EXPECT_TRUE(torch::equal(table.all(), expected({5, 1})));
  EXPECT_THAT(table.labels(), ElementsAre(1, 0));
  EXPECT_THAT(table.info.class_names, ElementsAre("ant", "wasp"));
}

TEST_F(Readers, ListsThatLieAreErrorsWithTheirLine) {
  write_folder();
  const auto with = [&](const std::string& text, testing::Values more = {}) {
    scratch_.write("data/list.txt", text);
    more.emplace_back("list", at("data/list.txt"));
    return failure("image-list", more);
  };
  EXPECT_THAT(with("ant/1.png 0\n../../etc/passwd 0\n"), HasSubstr("list.txt:2: \"../../etc/passwd\" lies outside"));
  EXPECT_THAT(with("/etc/passwd 0\n"), HasSubstr("list.txt:1: \"/etc/passwd\" lies outside"));
  EXPECT_THAT(with("ant/1.png\n"), HasSubstr("list.txt:1: expected \"PATH LABEL\""));
  EXPECT_THAT(with("ant/1.png 7\n", {{"classes", std::int64_t{3}}}), HasSubstr("label 7 is outside [0, 3)"));
  EXPECT_THAT(with("ant/none.png 0\n"), HasSubstr("ant/none.png"));
  EXPECT_THAT(with(""), HasSubstr("lists no image"));
  scratch_.write("t.csv", "file,label\nant/1.png,0\n");
  EXPECT_THAT(failure("image-list", {{"list", at("t.csv")}}), HasSubstr("has no column \"path\""));
  EXPECT_THAT(failure("image-list", {{"list", at("nowhere.txt")}}), HasSubstr("nowhere.txt: no such file"));
}

TEST_F(Readers, NpyImagesAreReadByteForByte) {
  const Tensor x = Stream(3).integers({6, 5, 4, 3}, 256).to(torch::kUInt8);
  scratch_.write("x.npy", testing::npy_bytes(x, "|u1"));
  scratch_.write("y.npy", testing::npy_bytes(torch::tensor({0, 1, 2, 0, 1, 2}, torch::kInt64), "<i8"));
  const Opened all = open("npy-images", {{"x", at("x.npy")}, {"y", at("y.npy")}});
  EXPECT_TRUE(torch::equal(all.all(), x.permute({0, 3, 1, 2})));
  const Opened part = open(
      "npy-images", {{"x", at("x.npy")}, {"y", at("y.npy")}, {"first", std::int64_t{2}}, {"rows", std::int64_t{3}}});
  EXPECT_TRUE(torch::equal(part.all(), x.slice(0, 2, 5).permute({0, 3, 1, 2})));
  EXPECT_THAT(part.labels(), ElementsAre(2, 0, 1));
  scratch_.write("y.txt", "0\n1\n2\n0\n1\n");
  EXPECT_THAT(failure("npy-images", {{"x", at("x.npy")}, {"y", at("y.txt")}}),
              HasSubstr("labels are an integer array [6]"));
  EXPECT_THAT(failure("npy-images", {{"x", at("y.npy")}, {"y", at("y.npy")}}), HasSubstr("uint8 array [N, H, W, 3]"));
  EXPECT_THAT(failure("npy-images",
                      {{"x", at("x.npy")}, {"y", at("y.npy")}, {"first", std::int64_t{5}}, {"rows", std::int64_t{2}}}),
              HasSubstr("has 6 rows"));
}

TEST_F(Readers, ShardsAreReadInPlace) {
  scratch_.write("d/b.tar", tar_of({{"0.png", png_of(image(3))}, {"0.cls", "1\n"}}));
  scratch_.write(
      "d/a.tar",
      tar_of({{"x/7.cls", "0"}, {"x/7.png", png_of(image(1))}, {"x/8.png", png_of(image(2))}, {"x/8.cls", "2"}},
             /*pax=*/true));
  const Opened split = open("webdataset", {{"path", at("d")}});
  EXPECT_TRUE(torch::equal(split.all(), expected({1, 2, 3})));
  EXPECT_THAT(split.labels(), ElementsAre(0, 2, 1));
  const Opened one = open("webdataset", {{"path", at("d")}, {"shards", "b*"}});
  EXPECT_THAT(one.labels(), ElementsAre(1));
  std::set<std::vector<std::int64_t>> orders;
  for (std::int64_t seed = 0; seed < 8; ++seed) {
    orders.insert(open("webdataset", {{"path", at("d")}, {"shard_seed", seed}}).labels());
  }
  EXPECT_EQ(orders, (std::set<std::vector<std::int64_t>>{{0, 2, 1}, {1, 0, 2}}));
}

TEST_F(Readers, ShardsWithJsonFoldersAndCaptions) {
  scratch_.write("d.tar", tar_of({{"cat/1.png", png_of(image(1))},
                                  {"cat/1.json", R"({"label":"small","text":"a cat"})"},
                                  {"cat/1.txt", "caption \xc3\xa9"},
                                  {"ant/2.png", png_of(image(2))},
                                  {"ant/2.json", R"({"label":"big"})"},
                                  {"ant/2.txt", "x"}}));
  EXPECT_THAT(open("webdataset", {{"path", at("d.tar")}, {"label", "json"}}).labels(), ElementsAre(1, 0));
  const Opened folder = open("webdataset", {{"path", at("d.tar")}, {"label", "folder"}, {"caption", "txt"}});
  EXPECT_THAT(folder.info.class_names, ElementsAre("ant", "cat"));
  EXPECT_EQ(folder.info.kind, SampleKind::image_text);
  const std::vector<Text> captions = folder.dataset->texts(torch::tensor({1, 0}, torch::kInt64));
  ASSERT_EQ(captions.size(), 2U);
  EXPECT_EQ(captions[0].first, "x");
  EXPECT_EQ(captions[1].first, "caption \xc3\xa9");
  EXPECT_FALSE(captions[0].second);
  EXPECT_THAT(failure("webdataset", {{"path", at("d.tar")}, {"label", "json"}, {"label_field", "text"}}),
              HasSubstr("ant/2.json: has no field \"text\""));
  EXPECT_THAT(failure("webdataset", {{"path", at("d.tar")}}), HasSubstr("d.tar: cat/1: the sample has no .cls"));
}

TEST_F(Readers, ShardsThatEscapeOrEndAreRefused) {
  const auto with = [&](const std::string& bytes) {
    scratch_.write("d.tar", bytes);
    return failure("webdataset", {{"path", at("d.tar")}, {"label", "none"}});
  };
  const std::string png = png_of(image(1, 60, 60));
  EXPECT_THAT(with(tar_of({{"../0.png", png}})), HasSubstr("member \"../0.png\" would leave the folder"));
  EXPECT_THAT(with(tar_of({{"a/../../0.png", png}})), HasSubstr("would leave the folder"));
  EXPECT_THAT(with(tar_of({{"/etc/0.png", png}})), HasSubstr("member \"/etc/0.png\" has an absolute name"));
  EXPECT_THAT(with(tar_of({{"0.png", "", "/etc/passwd"}})), HasSubstr("is a link"));
  EXPECT_THAT(with(tar_of({{"0.txt", "x"}})), HasSubstr("holds no sample"));
  EXPECT_THAT(with("no tar at all"), HasSubstr("d.tar"));
  EXPECT_THAT(with(""), HasSubstr("d.tar"));
  const std::string whole = tar_of({{"0.png", png}, {"1.png", png}});
  for (const std::size_t length : {600, 3000, 9000, 12000})
    EXPECT_THAT(with(whole.substr(0, length)), HasSubstr("d.tar"));
  EXPECT_THAT(with(tar_of({{"0.png", png.substr(0, 90)}})), HasSubstr("d.tar: 0: truncated PNG"));
}

}  // namespace
}  // namespace nmlbench
