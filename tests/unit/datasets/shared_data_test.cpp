// Every set of real images in ../shared/data through its own reader: counts, classes, pixels. Skipped where absent.
#include "support/shared_data.h"

#include "support/plugins.h"
#include "support/scratch.h"
#include "support/surroundings.h"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::Scratch;
using torch::Tensor;

using testing::kShared;

class SharedData : public ::testing::Test {
 protected:
  void unpack(const std::string& archive) {
    const std::string command = "tar -xf '" + (kShared / archive).string() + "' -C '" + scratch_.path().string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  std::string at(const std::string& name) const { return (scratch_ / name).string(); }

  // Opens a split and checks its size; keeps the pixels' CRC-32 (uint8 [N, C, H, W], in order).
  SplitInfo open(const std::string& name, const testing::Values& values) {
    const auto dataset = make_dataset(testing::plugin(PluginKind::dataset, name, values));
    const SplitInfo info = dataset->open();
    labels_ = dataset->labels();
    uLong crc = ::crc32(0, nullptr, 0);
    for (std::int64_t begin = 0; begin < info.size; begin += 1000) {
      const Tensor part =
          dataset->samples(torch::arange(begin, std::min(begin + 1000, info.size)), torch::kCPU).contiguous();
      crc = ::crc32(crc, static_cast<const Bytef*>(part.data_ptr()), static_cast<uInt>(part.nbytes()));
    }
    crc_ = static_cast<std::uint32_t>(crc);
    return info;
  }
  std::vector<std::int64_t> class_counts(std::int64_t classes) const {
    const Tensor counts = torch::bincount(labels_, {}, classes);
    return {counts.data_ptr<std::int64_t>(), counts.data_ptr<std::int64_t>() + counts.numel()};
  }

  Scratch scratch_;
  const testing::Surrounded surrounded_{scratch_ / "cache"};
  Tensor labels_;
  std::uint32_t crc_ = 0;
};

// Checksums: what Pillow 9.4 and NumPy make of the same files (`Image.open(f).convert("RGB")`, planes in file order).

TEST_F(SharedData, Cifar10AsJpegTree) {
  REQUIRE_SHARED("cifar10-jpg");
  unpack("cifar10-jpg/cifar10-jpg.tar.gz");
  const SplitInfo test =
      open("image-folder",
           {{"path", scratch_.path().string()}, {"split_by", "folder"}, {"split", "test"}, {"cache", false}});
  EXPECT_EQ(test.size, 10000);
  EXPECT_EQ(test.class_names.at(9), "truck");
  EXPECT_EQ(class_counts(10), std::vector<std::int64_t>(10, 1000));
  EXPECT_EQ(crc_, 0xaeb76712U);
  const SplitInfo train = open("image-list", {{"list", (kShared / "cifar10-jpg/train-order.txt.gz").string()},
                                              {"root", scratch_.path().string()},
                                              {"cache", false}});
  EXPECT_EQ(train.size, 50000);
  EXPECT_EQ(class_counts(10), std::vector<std::int64_t>(10, 5000));
  EXPECT_EQ(crc_, 0x8dba27cdU);
}

TEST_F(SharedData, CifarBinarySampleIsTheJpegTree) {
  REQUIRE_SHARED("cifar10-bin-sample");
  EXPECT_EQ(open("cifar", {{"path", (kShared / "cifar10-bin-sample").string()}}).size, 1000);
  EXPECT_EQ(crc_, 0x03557739U);
}

TEST_F(SharedData, UspsInHdf5HasTheIdxFilesPixels) {
  REQUIRE_SHARED("usps/usps.h5");
  const std::string folder = (kShared / "usps").string();
  for (const char* split : {"train", "test"}) {
    const auto hdf5 = make_dataset(testing::plugin(
        PluginKind::dataset, "usps", {{"path", folder}, {"split", split}, {"colour", "grey"}, {"verify", "all"}}));
    const auto idx = make_dataset(
        testing::plugin(PluginKind::dataset, "idx", {{"path", folder}, {"prefix", "usps-"}, {"split", split}}));
    const torch::Tensor rows = torch::arange(hdf5->open().size);
    ASSERT_EQ(idx->open().size, rows.size(0));
    EXPECT_TRUE(torch::equal(hdf5->labels(), idx->labels()));
    const Tensor away =
        (hdf5->samples(rows, torch::kCPU).to(torch::kInt32) - idx->samples(rows, torch::kCPU).to(torch::kInt32)).abs();
    EXPECT_LE(away.max().item<int>(), 1);  // the IDX files were rounded from numbers with fewer digits
    EXPECT_LT((away > 0).to(torch::kFloat64).mean().item<double>(), 0.001);
  }
}

TEST_F(SharedData, MnistMByItsLists) {
  REQUIRE_SHARED("mnist-m-mini");
  unpack("mnist-m-mini/mnist_m-173.tar");
  const SplitInfo train =
      open("image-list", {{"list", at("mnist_m/mnist_m_train_labels.txt")}, {"root", at("mnist_m/mnist_m_train")}});
  EXPECT_EQ(train.size, 151);
  EXPECT_EQ(train.classes, 10);
  EXPECT_EQ(crc_, 0xc7f399d9U);
}

TEST_F(SharedData, PacsByDomain) {
  REQUIRE_SHARED("pacs");
  unpack("pacs/pacs-60-per-class.tar");
  for (const auto& [domain, crc] : {std::pair{"art_painting", 0x4ee2b8baU}, {"sketch", 0x61b1d2f8U}}) {
    const SplitInfo split = open("image-folder", {{"path", at(std::string("PACS/") + domain)}, {"domain", domain}});
    EXPECT_EQ(split.size, 360);
    EXPECT_EQ(split.classes, 6);
    EXPECT_EQ(split.domain, domain);
    EXPECT_EQ(crc_, crc) << domain;
  }
}

TEST_F(SharedData, PacsInPlaceInItsTar) {
  REQUIRE_SHARED("pacs");
  const SplitInfo all =
      open("webdataset", {{"path", (kShared / "pacs/pacs-60-per-class.tar").string()}, {"label", "folder"}});
  EXPECT_EQ(all.size, 1440);
  EXPECT_EQ(class_counts(6), std::vector<std::int64_t>(6, 240));
  EXPECT_EQ(crc_, 0xdfd2bbe7U);
}

TEST_F(SharedData, FlowersAsFolders) {
  REQUIRE_SHARED("flowers");
  unpack("flowers/flowers-128px.tar.gz");
  const SplitInfo split = open("image-folder", {{"path", at("flowers")}});
  EXPECT_EQ(split.size, 4317);
  EXPECT_EQ(class_counts(5), (std::vector<std::int64_t>{764, 1052, 784, 733, 984}));
  EXPECT_EQ(crc_, 0xdfb9233aU);
}

TEST_F(SharedData, PhotosResizedAsByPillow) {
  REQUIRE_SHARED("photos/azure-customvision-mit.tar");
  unpack("photos/azure-customvision-mit.tar");
  const testing::Values values = {{"path", at("photos-mit")},
                                  {"size", std::int64_t{224}},
                                  {"resize", "crop"},
                                  {"crop_pct", 0.875},
                                  {"interpolation", "bicubic"}};
  EXPECT_EQ(open("image-folder", values).size, 60);
  EXPECT_EQ(class_counts(4), (std::vector<std::int64_t>{10, 10, 20, 20}));
  EXPECT_EQ(crc_, 0x94c37630U);
}

TEST_F(SharedData, DecoderEdgeCasesAreNamedOrSkipped) {
  REQUIRE_SHARED("decoder-edge");
  unpack("decoder-edge/pillow-decoder.tar");
  testing::Values values = {
      {"path", scratch_.path().string()}, {"split_by", "list"}, {"list", at("edge.txt")}, {"size", std::int64_t{16}}};
  std::string list;
  for (const char* name : {"hopper.jpg", "truncated_jpeg.jpg", "broken.png", "hopper.webp", "tRNS_null_1x1.png"}) {
    list += std::string("pillow-decoder/") + name + "\n";
  }
  scratch_.write("edge.txt", list);
  EXPECT_THROW(open("image-folder", values), DataError);
  values.emplace_back("broken", "skip");
  EXPECT_EQ(open("image-folder", values).size, 3);
}

TEST_F(SharedData, DomainNetListsAreRead) {
  REQUIRE_SHARED("lists");
  unpack("lists/domainnet-office-lists.tar.gz");
  const std::string folder = "SSDA_MME/data/txt/multi/";
  for (const auto& [domain, size] :
       {std::pair{"real", 70358}, {"painting", 31502}, {"sketch", 24582}, {"clipart", 18703}}) {
    const auto dataset =
        make_dataset(testing::plugin(PluginKind::dataset, "image-list",
                                     {{"list", at(folder + "labeled_source_images_" + domain + ".txt")},
                                      {"size", std::int64_t{32}},
                                      {"cache", false}}));
    const SplitInfo info = dataset->open();  // the images themselves are not there
    EXPECT_EQ(info.size, size);
    EXPECT_EQ(info.classes, 126);
  }
}

TEST_F(SharedData, ImageNetSubsetsMapToTheRightClasses) {
  REQUIRE_SHARED("lists");
  unpack("lists/imagenet-variant-index-files.tar.gz");
  for (const char* set : {"r", "a"}) {
    std::istringstream synsets(
        testing::read_text(scratch_ / ("timm_info/imagenet_" + std::string(set) + "_synsets.txt")));
    for (std::string synset; synsets >> synset;) {
      scratch_.write(std::string("imagenet-") + set + "/" + synset + "/1.jpg", "");
    }
    const auto dataset = make_dataset(testing::plugin(
        PluginKind::dataset, std::string("imagenet-") + set,
        {{"path", scratch_.path().string()}, {"synsets", at("timm_info/imagenet_synsets.txt")}, {"cache", false}}));
    const SplitInfo info = dataset->open();
    ASSERT_EQ(info.classes, 200);
    std::istringstream indices(
        testing::read_text(scratch_ / ("timm_info/imagenet_" + std::string(set) + "_indices.txt")));
    for (const auto& group : info.training_classes) {
      std::int64_t index = -1;
      indices >> index;
      EXPECT_EQ(group, std::vector<std::int64_t>{index});
    }
  }
}

TEST_F(SharedData, ObjectNetHas113Classes) {
  REQUIRE_SHARED("lists");
  unpack("lists/imagenet-variant-index-files.tar.gz");
  const std::string text = testing::read_text(scratch_ / "objectnet_metadata/folder_to_objectnet_label.json");
  for (std::size_t quote = text.find('"'); quote != std::string::npos;) {  // "folder": "Label"
    const std::size_t end = text.find('"', quote + 1);
    scratch_.write("images/" + text.substr(quote + 1, end - quote - 1) + "/1.png", "");
    quote = text.find('"', text.find('"', text.find('"', end + 1) + 1) + 1);
  }
  const auto dataset = make_dataset(
      testing::plugin(PluginKind::dataset, "objectnet",
                      {{"path", scratch_.path().string()}, {"mappings", at("objectnet_metadata")}, {"cache", false}}));
  const SplitInfo info = dataset->open();
  EXPECT_EQ(info.classes, 113);
  EXPECT_EQ(info.size, 113);
}

}  // namespace
}  // namespace nmlbench
