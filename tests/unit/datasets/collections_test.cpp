// Every collection on a tiny folder in its official layout, with MAT and HDF5 files written by the same libraries.
#include "support/datasets.h"
#include "support/hdf5_file.h"
#include "support/images.h"
#include "support/mat_file.h"
#include "support/npy.h"
#include "support/surroundings.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MatFile;
using ::testing::Not;
using testing::png_of;
using Opened = testing::OpenedDataset;
using testing::Scratch;
using testing::write_hdf5;
using testing::write_hollow_hdf5;
using torch::Tensor;

// An image that tells which one it is.
Tensor image(std::int64_t number) {
  return torch::full({8, 8, 3}, number, torch::kUInt8);
}

class Collections : public ::testing::Test {
 protected:
  void draw(const std::string& file, std::int64_t number) { scratch_.write("data/" + file, png_of(image(number))); }
  void text(const std::string& file, const std::string& content) { scratch_.write("data/" + file, content); }

  Opened open(const std::string& name, testing::Values values = {}) {
    values.emplace_back("path", (scratch_ / "data").string());
    return Opened(name, values);
  }
  std::string failure(const std::string& name, const testing::Values& values = {}) {
    return testing::data_error([&] { open(name, values); });
  }
  // Which images were served.
  static std::vector<std::int64_t> numbers(const Opened& split) {
    const Tensor all = split.all();
    std::vector<std::int64_t> out;
    for (std::int64_t i = 0; i < all.size(0); ++i) out.push_back(all[i][0][3][3].item<std::int64_t>());
    return out;
  }

  Scratch scratch_;
  const testing::Surrounded surrounded_{scratch_ / "cache"};
};

const std::pair<const char*, const char*> kAsTheyAre = {"verify", "nothing"};  // files that tests write

TEST_F(Collections, Flowers102) {
  MatFile(scratch_ / "data/flowers-102/imagelabels.mat").numbers("labels", {102, 7, 1});
  MatFile setid(scratch_ / "data/flowers-102/setid.mat");
  setid.numbers("trnid", {3});
  setid.numbers("valid", {1});
  setid.numbers("tstid", {2});
  for (int i = 1; i <= 3; ++i) draw("flowers-102/jpg/image_0000" + std::to_string(i) + ".jpg", i);
  EXPECT_THAT(numbers(open("flowers102", {kAsTheyAre})), ElementsAre(3));
  EXPECT_THAT(open("flowers102", {kAsTheyAre, {"split", "trainval"}}).labels(), ElementsAre(0, 101));
  EXPECT_EQ(open("flowers102", {kAsTheyAre, {"split", "test"}}).info.classes, 102);
  EXPECT_EQ(open("flowers102", {kAsTheyAre}).info.sample_shape, (std::vector<std::int64_t>{3, 224, 224}));
  for (const testing::Values& values : {testing::Values{}, {{"verify", "all"}}}) {
    EXPECT_THAT(failure("flowers102", values),
                AllOf(HasSubstr("imagelabels.mat: its MD5 is "),
                      HasSubstr("the official file's e0620be6f572b9609742df49"), HasSubstr("verify = \"nothing\"")));
  }
}

// Checksums cost time by the byte, so that files of more than 256 MiB are hashed on demand.
TEST_F(Collections, LargeFilesAreHashedOnDemand) {
  MatFile(scratch_ / "data/extra_32x32.mat").numbers("y", {1});
  fs::resize_file(scratch_ / "data/extra_32x32.mat", std::uintmax_t{256} << 20);
  EXPECT_THAT(failure("svhn", {{"split", "extra"}}), HasSubstr("its MD5 is "));
  fs::resize_file(scratch_ / "data/extra_32x32.mat", (std::uintmax_t{256} << 20) + 1);
  EXPECT_THAT(failure("svhn", {{"split", "extra"}}), Not(HasSubstr("its MD5 is ")));
  EXPECT_THAT(failure("svhn", {{"split", "extra"}, {"verify", "all"}}), HasSubstr("its MD5 is "));
}

TEST_F(Collections, OxfordPets) {
  text("annotations/trainval.txt", "# header\nAbyssinian_1 1 1 1\nyorkshire_terrier_9 37 2 25\n");
  text("annotations/test.txt", "beagle_3 38 2 1\n");
  draw("images/Abyssinian_1.jpg", 5);
  draw("images/yorkshire_terrier_9.jpg", 6);
  const Opened pets = open("oxford-pets");
  EXPECT_THAT(pets.labels(), ElementsAre(0, 36));
  EXPECT_THAT(numbers(pets), ElementsAre(5, 6));
  EXPECT_EQ(pets.info.class_names.at(36), "yorkshire_terrier");
  EXPECT_THAT(failure("oxford-pets", {{"split", "test"}}), HasSubstr("class 38 is outside [1, 37]"));
  EXPECT_THAT(failure("oxford-pets", {{"verify", "all"}}), HasSubstr("has 2 images, the official distribution 3680"));
  fs::remove(scratch_ / "data/images/Abyssinian_1.jpg");
  EXPECT_THAT(failure("oxford-pets", {{"verify", "all"}}), HasSubstr("1 of 2 images are missing"));
}

TEST_F(Collections, StanfordCars) {
  MatFile(scratch_ / "data/stanford_cars/devkit/cars_meta.mat").texts("class_names", {"AM General", "Acura"});
  MatFile(scratch_ / "data/stanford_cars/devkit/cars_train_annos.mat")
      .records("annotations", {{"00001.jpg", 2}, {"00002.jpg", 1}});
  MatFile(scratch_ / "data/stanford_cars/cars_test_annos_withlabels.mat").records("annotations", {{"../x.jpg", 1}});
  draw("stanford_cars/cars_train/00001.jpg", 11);
  draw("stanford_cars/cars_train/00002.jpg", 12);
  const Opened cars = open("stanford-cars");
  EXPECT_THAT(cars.labels(), ElementsAre(1, 0));
  EXPECT_THAT(numbers(cars), ElementsAre(11, 12));
  EXPECT_THAT(cars.info.class_names, ElementsAre("AM General", "Acura"));
  fs::remove(scratch_ / "data/stanford_cars/devkit/cars_train_annos.mat");
  EXPECT_THAT(failure("stanford-cars"), HasSubstr("cars_train_annos.mat: no such file"));
  text("stanford_cars/devkit/cars_train_annos.mat", "garbage");
  EXPECT_THAT(failure("stanford-cars"), HasSubstr("is no MATLAB file"));
}

TEST_F(Collections, FgvcAircraft) {
  text("fgvc-aircraft-2013b/data/variants.txt", "707-320\nBoeing 717\n");
  text("fgvc-aircraft-2013b/data/images_variant_train.txt", "");
  text("fgvc-aircraft-2013b/data/images_variant_trainval.txt", "0034309 Boeing 717\n1025794 707-320\n");
  draw("fgvc-aircraft-2013b/data/images/0034309.jpg", 3);
  draw("fgvc-aircraft-2013b/data/images/1025794.jpg", 4);
  const Opened planes = open("fgvc-aircraft");
  EXPECT_THAT(planes.labels(), ElementsAre(1, 0));
  EXPECT_THAT(numbers(planes), ElementsAre(3, 4));
  EXPECT_THAT(failure("fgvc-aircraft", {{"protocol", "nml"}}), HasSubstr("trains on split = \"train\""));
  text("fgvc-aircraft-2013b/data/images_variant_train.txt", "1025794 707-320\n");
  EXPECT_THAT(numbers(open("fgvc-aircraft", {{"protocol", "nml"}, {"split", "train"}})), ElementsAre(4));
}

TEST_F(Collections, Svhn) {
  const Tensor x =
      Stream(1).integers({2, 3, 32, 32}, 256).to(torch::kUInt8);  // row-major [N, C, W, H] is MATLAB's order
  MatFile file(scratch_ / "data/train_32x32.mat");
  file.bytes("X", x, {32, 32, 3, 2});
  file.numbers("y", {10, 4});
  const Opened digits = open("svhn", {kAsTheyAre});
  EXPECT_THAT(digits.labels(), ElementsAre(0, 4));
  EXPECT_TRUE(torch::equal(digits.all(), x.transpose(2, 3)));
}

// Found by fuzzing: room was made for what the file claims, before it was seen that the file has no such data.
TEST_F(Collections, AVariableLargerThanItsFileCanHoldIsRefused) {
  const auto words = [](std::initializer_list<std::uint32_t> values) {
    return std::string(reinterpret_cast<const char*>(values.begin()), 4 * values.size());
  };
  const std::string header = "MATLAB 5.0 MAT-file" + std::string(105, ' ') + std::string("\0\1IM", 4);
  const std::string variable = words({6, 8, 6, 0}) +                  // a double array
                               words({5, 8, 1U << 30U, 1U << 10U}) +  // of 2^30 x 2^10
                               words({0x10001, 'X'}) + words({9, 8, 0, 0});
  scratch_.write("data/train_32x32.mat", header + words({14, static_cast<std::uint32_t>(variable.size())}) + variable);
  EXPECT_THAT(failure("svhn", {kAsTheyAre}), HasSubstr("variable X is larger than its file can hold"));
}

// --- HDF5 files ---

TEST_F(Collections, PatchCamelyon) {
  const Tensor x = Stream(2).integers({5, 96, 96, 3}, 256).to(torch::kUInt8);
  const fs::path folder = scratch_ / "data/pcam";
  write_hdf5(folder / "camelyonpatch_level_2_split_valid_x.h5", "x", x, /*compressed=*/true);
  write_hdf5(folder / "camelyonpatch_level_2_split_valid_y.h5", "y",
             torch::tensor({0, 1, 1, 0, 1}).to(torch::kUInt8).view({5, 1, 1, 1}));
  {
    const Opened patches = open("patch-camelyon", {{"split", "valid"}});
    EXPECT_THAT(patches.labels(), ElementsAre(0, 1, 1, 0, 1));
    EXPECT_TRUE(torch::equal(patches.all(), x.permute({0, 3, 1, 2})));
  }  // HDF5 shares what it knows of a file among those that have it open
  EXPECT_THAT(failure("patch-camelyon"), HasSubstr("holds no camelyonpatch_level_2_split_train_x.h5"));
  const fs::path file = folder / "camelyonpatch_level_2_split_valid_x.h5";
  fs::resize_file(file, fs::file_size(file) / 2);
  EXPECT_THAT(failure("patch-camelyon", {{"split", "valid"}}), HasSubstr("valid_x.h5"));
}

// Found by fuzzing: LibTorch's own exception told of a size that overflows, and less would have asked for the memory.
TEST_F(Collections, AnArrayLargerThanItsFileCanHoldIsRefused) {
  for (const hsize_t rows : {hsize_t{1} << 58U, hsize_t{1} << 33U}) {
    write_hollow_hdf5(scratch_ / "data/usps.h5", "/train/data", {rows, 256});
    EXPECT_THAT(failure("usps"), HasSubstr("usps.h5: array \"/train/data\" is larger than its file can hold"));
  }
}

TEST_F(Collections, Usps) {
  const Tensor x = torch::rand({3, 256});
  write_hdf5(scratch_ / "data/usps.h5", "/test/data", x);
  write_hdf5(scratch_ / "data/usps.h5", "/test/target", torch::tensor({9, 0, 3}, torch::kInt32));
  const Opened digits = open("usps", {{"split", "test"}, {"colour", "grey"}});
  EXPECT_THAT(digits.labels(), ElementsAre(9, 0, 3));
  EXPECT_TRUE(torch::equal(digits.all().view({3, 256}), (x.to(torch::kFloat64) * 255).round().to(torch::kUInt8)));
  EXPECT_THAT(failure("usps"), HasSubstr("has no array \"/train/data\""));
}

// --- lists and folders ---

TEST_F(Collections, Food101AndTextures) {
  text("food-101/meta/classes.txt", "apple_pie\nwaffles\n");
  text("food-101/meta/train.txt", "waffles/1\napple_pie/2\n");
  draw("food-101/images/waffles/1.jpg", 1);
  draw("food-101/images/apple_pie/2.jpg", 2);
  EXPECT_THAT(open("food101").labels(), ElementsAre(1, 0));
  for (const char* list : {"train1", "val1", "test2"}) {
    text(std::string("dtd/labels/") + list + ".txt", std::string("dotted/") + list + ".jpg\n");
    draw(std::string("dtd/images/dotted/") + list + ".jpg", list[0]);
  }
  draw("dtd/images/banded/x.jpg", 1);
  EXPECT_THAT(numbers(open("dtd", {{"split", "trainval"}})), ElementsAre('t', 'v'));
  EXPECT_THAT(open("dtd", {{"split", "test"}, {"partition", std::int64_t{2}}}).labels(), ElementsAre(1));
}

TEST_F(Collections, Caltech101TakesSoManyOfEachClass) {
  for (int i = 0; i < 8; ++i) {
    draw("101_ObjectCategories/" + std::string(i < 5 ? "ant" : "watch") + "/image_000" + std::to_string(i) + ".jpg", i);
  }
  draw("101_ObjectCategories/BACKGROUND_Google/image_0001.jpg", 99);
  const testing::Values two = {{"per_class", std::int64_t{2}}};
  EXPECT_THAT(open("caltech101", two).labels(), ElementsAre(0, 0, 1, 1));
  testing::Values rest = two;
  rest.emplace_back("split", "test");
  std::vector<std::int64_t> all = numbers(open("caltech101", two));
  for (const std::int64_t number : numbers(open("caltech101", rest))) all.push_back(number);
  std::sort(all.begin(), all.end());
  EXPECT_THAT(all, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  rest.emplace_back("protocol", "nml");
  draw("101_ObjectCategories/BACKGROUND_Google/image_0002.jpg", 98);
  draw("101_ObjectCategories/BACKGROUND_Google/image_0003.jpg", 97);
  EXPECT_THAT(open("caltech101", rest).labels(), ElementsAre(0, 1, 1, 1, 2));
  EXPECT_EQ(open("caltech101", rest).info.class_names.front(), "BACKGROUND_Google");
}

TEST_F(Collections, SatelliteImages) {
  for (int i = 0; i < 10; ++i) {
    draw("eurosat/2750/River/River_" + std::to_string(i) + ".jpg", i);
    draw("resisc45/NWPU-RESISC45/airport/airport_00" + std::to_string(i) + ".jpg", i);
  }
  EXPECT_EQ(open("eurosat").info.size, 8);
  EXPECT_EQ(open("eurosat", {{"split", "test"}}).info.size, 2);
  for (int i = 10; i < 15; ++i) draw("eurosat/2750/Forest/Forest_" + std::to_string(i) + ".jpg", i);
  std::set<std::vector<std::int64_t>> forests;  // shares of all images fall otherwise on classes than shares of each
  for (std::int64_t seed = 0; seed < 20; ++seed) {
    const Opened test = open("eurosat", {{"split", "test"}, {"protocol", "nml"}, {"split_seed", seed}});
    EXPECT_EQ(test.info.size, 3);
    forests.insert(test.labels());
    EXPECT_THAT(open("eurosat", {{"split", "test"}, {"split_seed", seed}}).labels(), ElementsAre(0, 1, 1));
  }
  EXPECT_GT(forests.size(), 2U);
  std::vector<std::int64_t> both = numbers(open("eurosat", {{"protocol", "nml"}}));
  for (const std::int64_t number : numbers(open("eurosat", {{"split", "test"}, {"protocol", "nml"}})))
    both.push_back(number);
  std::sort(both.begin(), both.end());
  EXPECT_THAT(both, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14));
  text("list.txt", "airport_003.jpg\nairport_001.jpg\n");
  const testing::Values listed = {{"split_by", "list"}, {"list", (scratch_ / "data/list.txt").string()}};
  EXPECT_THAT(numbers(open("resisc45", listed)), ElementsAre(1, 3));
  text("list.txt", "airport_999.jpg\n");
  EXPECT_THAT(failure("resisc45", listed), HasSubstr("names airport_999.jpg, which is not there"));
}

TEST_F(Collections, RenderedSst2) {
  draw("rendered-sst2/valid/negative/0.png", 1);
  draw("rendered-sst2/valid/positive/1.png", 2);
  const Opened split = open("rendered-sst2", {{"split", "valid"}});
  EXPECT_THAT(split.labels(), ElementsAre(0, 1));
  EXPECT_THAT(split.info.class_names, ElementsAre("negative", "positive"));
}

TEST_F(Collections, DomainNet) {
  text("sketch_test.txt", "sketch/aircraft_carrier/a.jpg 0\nsketch/zigzag/z.jpg 344\n");
  draw("sketch/aircraft_carrier/a.jpg", 1);
  draw("sketch/zigzag/z.jpg", 2);
  const Opened split = open("domainnet", {{"domain", "sketch"}, {"split", "test"}});
  EXPECT_EQ(split.info.domain, "sketch");
  EXPECT_EQ(split.info.classes, 345);
  EXPECT_THAT(split.labels(), ElementsAre(0, 344));
  EXPECT_EQ(split.info.class_names.at(344), "zigzag");
  text("sketch_test.txt", "sketch/../../x.jpg 0\n");
  EXPECT_THAT(failure("domainnet", {{"domain", "sketch"}, {"split", "test"}}), HasSubstr("lies outside"));
}

TEST_F(Collections, CifarTestVariants) {
  const Tensor x = Stream(4).integers({10, 32, 32, 3}, 256).to(torch::kUInt8);
  const std::string y = testing::npy_bytes(torch::arange(10), "<i8");
  text("CIFAR-10-C/fog.npy", testing::npy_bytes(x, "|u1"));
  text("CIFAR-10-C/labels.npy", y);
  text("cifar10.1/cifar10.1_v6_data.npy", testing::npy_bytes(x, "|u1"));
  text("cifar10.1/cifar10.1_v6_labels.npy", y);
  const Opened fog = open("cifar-c", {{"split", "fog"}, {"strength", std::int64_t{2}}});
  EXPECT_THAT(fog.labels(), ElementsAre(2, 3));
  EXPECT_TRUE(torch::equal(fog.all(), x.slice(0, 2, 4).permute({0, 3, 1, 2})));
  EXPECT_EQ(open("cifar10-1").info.size, 10);
}

// --- ImageNet and its kin ---

TEST_F(Collections, ImageNetAsFoldersOrAsKaggleHasIt) {
  draw("imagenet/train/n01/1.JPEG", 1);
  draw("imagenet/train/n02/2.JPEG", 2);
  EXPECT_THAT(open("imagenet").labels(), ElementsAre(0, 1));
  draw("imagenet/val/V_2.JPEG", 4);
  draw("imagenet/val/V_1.JPEG", 3);
  text("imagenet/LOC_val_solution.csv", "ImageId,PredictionString\nV_1,n02 1 2 3 4 n02 5 6 7 8\nV_2,n01 1 2 3 4\n");
  const Opened val = open("imagenet", {{"split", "val"}});
  EXPECT_THAT(val.labels(), ElementsAre(1, 0));
  EXPECT_THAT(numbers(val), ElementsAre(3, 4));
}

// Folders are numbered in their order: one that is missing would give all that follow another label.
TEST_F(Collections, ImageNetsOrderIsThatOfTheListBesideIt) {
  std::string synsets;
  for (int i = 0; i < 1000; ++i) synsets += fmt::format("n{} name\n", 10000000 + i);
  draw("imagenet/train/n10000000/1.JPEG", 1);
  draw("imagenet/train/n10000001/2.JPEG", 2);
  text("imagenet/LOC_synset_mapping.txt", synsets);
  EXPECT_THAT(open("imagenet").labels(), ElementsAre(0, 1));
  draw("imagenet/train/n10000003/3.JPEG", 3);
  EXPECT_THAT(failure("imagenet"),
              HasSubstr("LOC_synset_mapping.txt: n10000003 has label 3 there and 2 among the folders"));
}

TEST_F(Collections, ImageNetV2FoldersAreLabels) {
  draw("imagenetv2-top-images-format-val/0/a.jpeg", 1);
  draw("imagenetv2-top-images-format-val/10/b.jpeg", 2);
  draw("imagenetv2-top-images-format-val/9/c.jpeg", 3);
  const Opened split = open("imagenet-v2", {{"split", "top-images"}});
  EXPECT_EQ(split.info.classes, 1000);
  EXPECT_THAT(split.labels(), ElementsAre(0, 10, 9));
  EXPECT_TRUE(split.info.training_classes.empty());
}

TEST_F(Collections, SubsetsSayWhichClassesTheyAre) {
  std::string synsets;
  for (int i = 0; i < 1000; ++i) synsets += fmt::format("n{} name\n", 10000000 + i);
  synsets.replace(synsets.find("n10000000"), 9, "n01443537");
  text("imagenet_synsets.txt", synsets);
  draw("imagenet-r/n01443537/a.jpg", 1);
  draw("imagenet-r/n10000900/b.jpg", 2);
  const Opened renditions = open("imagenet-r");
  EXPECT_EQ(renditions.info.classes, 2);
  EXPECT_EQ(renditions.info.training_classes, (std::vector<std::vector<std::int64_t>>{{0}, {900}}));
  std::string swapped = synsets;
  swapped.replace(swapped.find("n10000500"), 9, "n10000200");
  text("imagenet_synsets.txt", swapped);
  EXPECT_THAT(failure("imagenet-r"), HasSubstr("imagenet_synsets.txt:501: n10000200 comes after n10000499"));
  text("imagenet_synsets.txt", synsets);
  draw("imagenet-r/n99999999/c.jpg", 3);
  EXPECT_THAT(failure("imagenet-r"), HasSubstr("n99999999: is no class of"));
  draw("sketch/n01443537/a.JPEG", 1);
  EXPECT_THAT(open("imagenet-sketch").info.class_names, ElementsAre("n01443537"));
}

TEST_F(Collections, ObjectNetMapsToGroups) {
  text("mappings/folder_to_objectnet_label.json",
       R"({"alarm_clock":"Alarm clock","air_freshener":"Air freshener","bench":"Bench"})");
  text("mappings/objectnet_to_imagenet_1k.json",
       R"({"Alarm clock":"analog clock; digital clock","Bench":"park bench"})");
  text("mappings/imagenet_to_label_2012_v2", "park bench\nanalog clock\ndigital clock\n");
  text("mappings/pytorch_to_imagenet_2012_id.json", R"({"703":0,"409":1,"530":2})");
  draw("images/alarm_clock/1.png", 1);
  draw("images/air_freshener/2.png", 2);
  draw("images/bench/3.png", 3);
  const Opened split = open("objectnet");
  EXPECT_THAT(numbers(split), ElementsAre(1, 3));
  EXPECT_THAT(split.labels(), ElementsAre(0, 1));
  EXPECT_EQ(split.info.training_classes, (std::vector<std::vector<std::int64_t>>{{409, 530}, {703}}));
  EXPECT_NE(split.dataset->digest(), open("objectnet", {{"border", std::int64_t{0}}}).dataset->digest());
  Tensor bordered = torch::full({8, 8, 3}, 7, torch::kUInt8);
  bordered.slice(0, 0, 2).fill_(200);
  bordered.slice(1, 6, 8).fill_(200);
  scratch_.write("data/images/bench/3.png", png_of(bordered));
  const auto largest = [&](std::int64_t border) {
    return open("objectnet", {{"border", border}}).at({1}).max().item<int>();
  };
  EXPECT_EQ(largest(2), 7);
  EXPECT_GE(largest(0), 200);
  EXPECT_GE(largest(1), 200);
  text("mappings/objectnet_to_imagenet_1k.json", R"({"Alarm clock":"sundial"})");
  EXPECT_THAT(failure("objectnet"), HasSubstr("\"sundial\" is no class of ImageNet-1K"));
}

using Lists = std::vector<std::vector<std::int64_t>>;

TEST_F(Collections, ImageNetVidRobustHasAnchorsAndTheFramesAroundThem) {
  text("misc/imagenet_class_index.json", R"({"0":["n01","tench"],"1":["n02","goldfish"],"2":["n03","shark"]})");
  text("misc/imagenet_vid_class_index.json", R"({"0":["v1","fish"],"1":["v2","danger"]})");
  text("misc/rev_wnid_map.json", R"({"v1":["n01","n02"],"v2":["n03"]})");
  text("metadata/pmsets.json", R"({"val/b/5.JPEG":["val/b/4.JPEG","val/b/6.JPEG"],"val/a/1.JPEG":["val/a/2.JPEG"]})");
  text("metadata/labels.json", R"({"val/a/1.JPEG":[1],"val/a/2.JPEG":[1,0],"val/b/4.JPEG":[0],"val/b/5.JPEG":[0],
                                   "val/b/6.JPEG":[0]})");
  for (const auto& [file, number] : {std::pair{"a/1", 1}, {"a/2", 2}, {"b/4", 4}, {"b/5", 5}, {"b/6", 6}})
    draw(std::string("val/") + file + ".JPEG", number);
  const Opened anchors = open("imagenet-vid-robust");
  EXPECT_THAT(numbers(anchors), ElementsAre(1, 5));
  EXPECT_THAT(anchors.labels(), ElementsAre(1, 0));
  EXPECT_EQ(anchors.info.training_classes, (Lists{{0, 1}, {2}}));
  EXPECT_EQ(anchors.info.right_classes, (Lists{{1}, {0}}));
  EXPECT_TRUE(anchors.info.sets.empty());
  const Opened frames = open("imagenet-vid-robust", {{"score", "pm-10"}});
  EXPECT_THAT(numbers(frames), ElementsAre(1, 2, 5, 4, 6));
  EXPECT_THAT(frames.labels(), ElementsAre(1, 1, 0, 0, 0));
  EXPECT_EQ(frames.info.right_classes, (Lists{{1}, {1, 0}, {0}, {0}, {0}}));
  EXPECT_THAT(frames.info.sets, ElementsAre(0, 0, 1, 1, 1));
  EXPECT_NE(frames.dataset->digest(), anchors.dataset->digest());
  EXPECT_THAT(failure("imagenet-vid-robust", {{"limit", std::int64_t{1}}}), HasSubstr("take frames out of their sets"));
  EXPECT_THAT(failure("imagenet-vid-robust", {{"verify", "all"}}),
              HasSubstr("has 2 images, the official distribution 1109"));

  // what is right for a frame is part of what the data are
  const std::string before = frames.dataset->digest();
  text("metadata/labels.json", R"({"val/a/1.JPEG":[1],"val/a/2.JPEG":[1],"val/b/4.JPEG":[0],"val/b/5.JPEG":[0],
                                   "val/b/6.JPEG":[0]})");
  EXPECT_NE(open("imagenet-vid-robust", {{"score", "pm-10"}}).dataset->digest(), before);
  text("metadata/labels.json", R"({"val/a/1.JPEG":[2]})");
  EXPECT_THAT(failure("imagenet-vid-robust"),
              HasSubstr("labels.json: \"val/a/1.JPEG\" has no class, or one outside [0, 2)"));
  text("metadata/labels.json", R"({"val/a/1.JPEG":[1]})");
  EXPECT_THAT(failure("imagenet-vid-robust"), HasSubstr("labels.json: has no \"val/a/2.JPEG\""));
  text("misc/rev_wnid_map.json", R"({"v1":["n01","n77"],"v2":["n03"]})");
  EXPECT_THAT(failure("imagenet-vid-robust"), HasSubstr("n77 is no class of ImageNet-1K"));
}

// As its authors' reader takes them: good anchors, pairs that are similar and nothing bad, classes that people added.
TEST_F(Collections, YtbbRobustFollowsItsReview) {
  text("metadata/ytbb_class_index.json", R"({"0":"person","1":"bird","2":"cow","22":"none","23":"car"})");
  text("metadata/rev_class_idx_map.json", R"({"0":[981],"1":[7,8],"23":[407]})");
  text("metadata/ytbb_robustness_test_anchors_full.csv",
       "ytid,time_ms,label\nA,10,22\nB,20,2\nC_c,30,2\nD,40,0\nE,50,1\nF,60,1\n");
  text("metadata/anchor_labels.json", R"({"labels":["good","bad","unsure","bird"],"annotations":[
    {"key":"A_10/frame-100.jpg","labels":[1]},
    {"key":"A_10/frame-100.jpg","labels":[0]},
    {"key":"x/B_20/frame-7.jpg","labels":[0]},
    {"key":"C_c_30/frame-9.jpg","labels":[0,3]},
    {"key":"D_40/frame-3.jpg","labels":[0,2]},
    {"key":"E_50/frame-3.jpg","labels":[0]},
    {"key":"F_60/frame-3.jpg","labels":[0]}]})");
  text("metadata/pmk_labels.json",
       R"({"labels":["similar","dissimilar","bad-anchor","correct","problematic","incorrect",
    "dont know","deformation","background-change","occlusion-increased","blur-increase"],"annotations":[
    {"key":"A_10/frame-100.jpg,A_10/frame-110.jpg","labels":[0,3]},
    {"key":"A_10/frame-100.jpg,A_10/frame-90.jpg","labels":[0]},
    {"key":"A_10/frame-100.jpg,A_10/frame-111.jpg","labels":[0]},
    {"key":"A_10/frame-100.jpg,A_10/frame-101.jpg","labels":[0,10]},
    {"key":"A_10/frame-100.jpg,A_10/frame-102.jpg","labels":[3]},
    {"key":"C_c_30/frame-9.jpg,C_c_30/frame-8.jpg","labels":[1]},
    {"key":"E_50/frame-3.jpg,E_50/frame-4.jpg","labels":[2]}]})");
  for (const auto& [file, number] : {std::pair{"A_10/frame-100", 1},
                                     {"A_10/frame-110", 2},
                                     {"A_10/frame-90", 3},
                                     {"C_c_30/frame-9", 4},
                                     {"F_60/frame-3", 5}})
    draw(std::string("ytbb_videos/") + file + ".jpg", number);
  // A was taken for class 22 of the table, "car"; B shows a cow alone, which ImageNet-1K lacks; C a cow and a bird; D
  // is unsure; E a bad anchor
  const Opened frames = open("ytbb-robust", {{"score", "pm-10"}});
  EXPECT_THAT(frames.info.class_names, ElementsAre("person", "bird", "car"));
  EXPECT_EQ(frames.info.training_classes, (Lists{{981}, {7, 8}, {407}}));
  EXPECT_THAT(numbers(frames), ElementsAre(1, 3, 2, 4, 5));
  EXPECT_THAT(frames.labels(), ElementsAre(2, 2, 2, 1, 1));
  EXPECT_THAT(frames.info.sets, ElementsAre(0, 0, 0, 1, 2));
  EXPECT_THAT(numbers(open("ytbb-robust")), ElementsAre(1, 4, 5));
  text("metadata/ytbb_robustness_test_anchors_full.csv", "ytid,time_ms,label\nA,10,22\n");
  EXPECT_THAT(failure("ytbb-robust"), HasSubstr("anchors_full.csv: has no line of B_20/frame-7.jpg"));
}

TEST_F(Collections, AMissingFolderSaysWhatIsExpected) {
  fs::create_directories(scratch_ / "data");
  for (const Registry::Item& item : testing::bundled().items()) {
    if (std::string(item.library->descriptor->name) != "nmlbench-collections") continue;
    EXPECT_THAT(failure(item.entry->name), HasSubstr("data: holds no ")) << item.entry->name;
  }
}

}  // namespace
}  // namespace nmlbench
