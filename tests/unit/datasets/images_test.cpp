// idx and cifar: small files made here, and the real ones where they are.
#include "support/datasets.h"
#include "support/scratch.h"
#include "support/shared_data.h"

#include <nmlbench/digest.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;
using Opened = testing::OpenedDataset;
using testing::Scratch;
using torch::Tensor;

using testing::kShared;

std::string big_endian(std::uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16 & 0xFF), static_cast<char>(v >> 8 & 0xFF),
          static_cast<char>(v & 0xFF)};
}

std::string bytes_of(const Tensor& t) {
  return {static_cast<const char*>(t.data_ptr()), t.nbytes()};
}

void write_gzip(const std::filesystem::path& file, const std::string& bytes) {
  gzFile out = ::gzopen(file.c_str(), "wb");
  ::gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size()));
  ::gzclose(out);
}

Opened open(const std::string& name, const std::filesystem::path& folder, testing::Values values = {}) {
  values.emplace_back("path", folder.string());
  return Opened(name, values);
}

std::string failure(const std::string& name, const std::filesystem::path& folder, const testing::Values& values = {}) {
  return testing::data_error([&] { open(name, folder, values); });
}

class Idx : public ::testing::Test {
 protected:
  Idx() {
    image_file_ = big_endian(0x803) + big_endian(6) + big_endian(4) + big_endian(5) + bytes_of(images_);
    label_file_ = big_endian(0x801) + big_endian(6) + bytes_of(labels_.to(torch::kUInt8));
    write(image_file_, label_file_);
  }
  void write(const std::string& images, const std::string& labels) {
    scratch_.write("train-images-idx3-ubyte", images);
    scratch_.write("train-labels-idx1-ubyte", labels);
  }
  Scratch scratch_;
  Tensor images_ = Stream(1).integers({6, 1, 4, 5}, 256).to(torch::kUInt8);
  Tensor labels_ = torch::tensor({0, 1, 2, 0, 1, 2}, torch::kInt64);
  std::string image_file_, label_file_;
};

TEST_F(Idx, ReadsPlainFiles) {
  const Opened split = open("idx", scratch_.path());
  EXPECT_TRUE(torch::equal(split.all(), images_));
  EXPECT_TRUE(torch::equal(split.dataset->labels(), labels_));
  EXPECT_EQ(split.info.classes, 3);
}

TEST_F(Idx, ReadsCompressedFilesAndTestNames) {
  write_gzip(scratch_ / "p-test-images-idx3-ubyte.gz", image_file_);
  write_gzip(scratch_ / "p-test-labels-idx1-ubyte.gz", label_file_);
  const Opened split = open("idx", scratch_.path(), {{"prefix", "p-"}, {"split", "test"}});
  EXPECT_TRUE(torch::equal(split.all(), images_));
}

TEST_F(Idx, EveryTruncationIsAnErrorThatNamesTheFile) {
  for (std::size_t length = 0; length < image_file_.size(); ++length) {
    write(image_file_.substr(0, length), label_file_);
    EXPECT_THAT(failure("idx", scratch_.path()), HasSubstr("train-images-idx3-ubyte")) << length;
  }
  write(image_file_, label_file_.substr(0, 10));
  EXPECT_THAT(failure("idx", scratch_.path()), HasSubstr("truncated"));
}

TEST_F(Idx, ATruncatedGzipIsAnError) {
  std::filesystem::remove(scratch_ / "train-images-idx3-ubyte");
  const auto file = scratch_ / "train-images-idx3-ubyte.gz";
  write_gzip(file, image_file_);
  const auto whole = testing::read_text(file);
  for (std::size_t length = 1; length < whole.size(); ++length) {
    scratch_.write("train-images-idx3-ubyte.gz", whole.substr(0, length));
    EXPECT_THAT(failure("idx", scratch_.path()), HasSubstr("train-images-idx3-ubyte.gz")) << length;
  }
}

TEST_F(Idx, HeadersThatLieAreErrors) {
  write(big_endian(0x803) + big_endian(0xFFFFFFFF) + big_endian(0xFFFF) + big_endian(0xFFFF), label_file_);
  EXPECT_THAT(failure("idx", scratch_.path()), HasSubstr("impossible"));
  write(big_endian(0x803) + big_endian(60000) + big_endian(28) + big_endian(28), label_file_);
  EXPECT_THAT(failure("idx", scratch_.path()), HasSubstr("labels for 60000"));
  write(image_file_ + "x", label_file_);
  EXPECT_THAT(failure("idx", scratch_.path()), HasSubstr("longer"));
  write(label_file_, label_file_);
  EXPECT_THAT(failure("idx", scratch_.path()), HasSubstr("no IDX file of images"));
  EXPECT_THAT(failure("idx", scratch_ / "nowhere"), HasSubstr("no such folder"));
  EXPECT_THAT(failure("idx", scratch_.path(), {{"split", "test"}}),
              HasSubstr("t10k-images-idx3-ubyte, t10k-images.idx3-ubyte, test-images-idx3-ubyte"));
}

TEST_F(Idx, OtherSpellingsAndOtherFilesAreKnown) {
  for (const char* kind : {"images-idx3", "labels-idx1"}) {
    std::string name = "train-" + std::string(kind) + "-ubyte", dotted = name;
    dotted[dotted.find("-idx")] = '.';
    std::filesystem::rename(scratch_ / name, scratch_ / dotted);
  }
  EXPECT_TRUE(torch::equal(open("idx", scratch_.path()).all(), images_));
  write("<!DOCTYPE html>\n<html></html>", label_file_);
  EXPECT_THAT(failure("idx", scratch_.path()), HasSubstr("but a web page"));
  write(label_file_, label_file_);
  EXPECT_THAT(failure("idx", scratch_.path()), HasSubstr("one of 1 dimension (labels)"));
}

TEST_F(Idx, LabelsAboveTheDeclaredClassesAreErrors) {
  write(image_file_, label_file_);
  EXPECT_THAT(failure("idx", scratch_.path(), {{"classes", std::int64_t{2}}}), HasSubstr("label 2, outside [0, 2)"));
}

TEST_F(Idx, TheDigestFollowsContentAndChoices) {
  const std::string base = open("idx", scratch_.path()).dataset->digest();
  EXPECT_NE(open("idx", scratch_.path(), {{"limit", std::int64_t{3}}}).dataset->digest(), base);
  EXPECT_NE(open("idx", scratch_.path(), {{"corruption", "negative"}}).dataset->digest(), base);
  EXPECT_NE(open("idx", scratch_.path(), {{"classes", std::int64_t{7}}}).dataset->digest(), base);
  image_file_.back() = static_cast<char>(image_file_.back() ^ 1);
  write(image_file_, label_file_);
  EXPECT_NE(open("idx", scratch_.path()).dataset->digest(), base);
}

TEST_F(Idx, CorruptionsChangeImagesTheSameWayAloneOrInABatch) {
  EXPECT_TRUE(torch::equal(open("idx", scratch_.path(), {{"corruption", "negative"}}).all(), 255 - images_));
  for (const char* corruption : {"gaussian-noise", "blur", "contrast", "rotate", "translate"}) {
    const Opened split = open("idx", scratch_.path(), {{"corruption", corruption}, {"severity", std::int64_t{5}}});
    const Tensor all = split.all();
    EXPECT_FALSE(torch::equal(all, images_)) << corruption;
    EXPECT_TRUE(torch::equal(split.dataset->samples(torch::tensor({4}, torch::kInt64), torch::kCPU)[0], all[4]))
        << corruption;
  }
}

TEST(IdxReal, FashionMnistIsWhole) {
  REQUIRE_SHARED("fashion-mnist");
  const Opened train = open("idx", kShared / "fashion-mnist");
  EXPECT_EQ(train.info.size, 60000);
  EXPECT_EQ(train.info.classes, 10);
  EXPECT_EQ(train.info.sample_shape, (std::vector<std::int64_t>{1, 28, 28}));
  EXPECT_TRUE((torch::bincount(train.dataset->labels()) == 6000).all().item<bool>());
  // the bytes that zlib finds behind the header
  gzFile raw = ::gzopen((kShared / "fashion-mnist/train-images-idx3-ubyte.gz").c_str(), "rb");
  std::string bytes(16 + 60000 * 784, '\0');
  ASSERT_EQ(::gzread(raw, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
  ::gzclose(raw);
  EXPECT_EQ(bytes_of(train.all()), bytes.substr(16));
}

TEST(IdxReal, UspsHasItsClassCounts) {
  REQUIRE_SHARED("usps");
  const Opened test = open("idx", kShared / "usps", {{"prefix", "usps-"}, {"split", "test"}});
  EXPECT_EQ(test.info.sample_shape, (std::vector<std::int64_t>{1, 16, 16}));
  const Tensor expected = torch::tensor({359, 264, 198, 166, 200, 160, 170, 147, 166, 177}, torch::kInt64);
  EXPECT_TRUE(torch::equal(torch::bincount(test.dataset->labels()), expected));
}

TEST(CifarReal, TheSampleIsReadByteForByte) {
  REQUIRE_SHARED("cifar10-bin-sample");
  const Opened train = open("cifar", kShared / "cifar10-bin-sample");
  EXPECT_EQ(train.info.size, 1000);
  EXPECT_EQ(train.info.class_names.at(0), "airplane");
  const std::string bytes = testing::read_text(kShared / "cifar10-bin-sample/data_batch_1.bin");
  const Tensor images = train.all().contiguous();
  for (const std::int64_t i : {0, 1, 999}) {
    EXPECT_EQ(bytes_of(images[i].contiguous()), bytes.substr(static_cast<std::size_t>(i) * 3073 + 1, 3072));
    EXPECT_EQ(train.dataset->labels()[i].item<std::int64_t>(), bytes[static_cast<std::size_t>(i) * 3073]);
  }
  EXPECT_EQ(open("cifar", kShared / "cifar10-bin-sample", {{"split", "test"}}).info.size, 500);
}

TEST(Cifar, TenIsReadByteForByteBatchAfterBatch) {
  const Scratch scratch;
  std::string all;
  for (const char* batch : {"1", "2"}) {
    const Tensor pixels = Stream(static_cast<std::uint64_t>(*batch)).integers({2, 3072}, 256).to(torch::kUInt8);
    std::string bytes;
    for (const int i : {0, 1}) bytes += std::string(1, static_cast<char>(*batch - '0' + i)) + bytes_of(pixels[i]);
    scratch.write(std::string("data_batch_") + batch + ".bin", bytes);
    all += bytes;
  }
  const Opened train = open("cifar", scratch.path());
  const Tensor images = train.all().contiguous();
  ASSERT_EQ(images.sizes(), (std::vector<std::int64_t>{4, 3, 32, 32}));
  for (const std::int64_t i : {0, 1, 2, 3}) {
    EXPECT_EQ(bytes_of(images[i].contiguous()), all.substr(static_cast<std::size_t>(i) * 3073 + 1, 3072));
    EXPECT_EQ(train.dataset->labels()[i].item<std::int64_t>(), all[static_cast<std::size_t>(i) * 3073]);
  }
}

TEST(Cifar, HundredHasFineAndCoarseLabels) {
  const Scratch scratch;
  std::string bytes;
  for (const char label : {7, 99})
    bytes += std::string(1, static_cast<char>(label / 5)) + std::string(1, label) + std::string(3072, label);
  scratch.write("train.bin", bytes);
  const Opened fine = open("cifar", scratch.path()), coarse = open("cifar", scratch.path(), {{"label_set", "coarse"}});
  EXPECT_EQ(fine.info.classes, 100);
  EXPECT_EQ(coarse.info.classes, 20);
  EXPECT_TRUE(torch::equal(fine.dataset->labels(), torch::tensor({7, 99}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(coarse.dataset->labels(), torch::tensor({1, 19}, torch::kInt64)));
}

TEST(Cifar, TruncatedRecordsAndWrongLabelsAreErrors) {
  const Scratch scratch;
  EXPECT_THAT(failure("cifar", scratch.path()), HasSubstr("data_batch_*.bin"));
  scratch.write("data_batch_1.bin", std::string(3073 + 100, '\0'));
  EXPECT_THAT(failure("cifar", scratch.path()), HasSubstr("truncated"));
  scratch.write("data_batch_1.bin", std::string(1, '\x0b') + std::string(3072, '\0'));
  EXPECT_THAT(failure("cifar", scratch.path()), HasSubstr("record 0 has label 11, outside [0, 10)"));
}

TEST(Cifar, ThePythonVersionIsNamed) {
  const Scratch scratch;
  scratch.write("cifar-10-batches-py/data_batch_1", "pickle");
  EXPECT_THAT(failure("cifar", scratch.path()), HasSubstr("the Python version"));
  EXPECT_THAT(failure("cifar", scratch / "cifar-10-batches-py"), HasSubstr("the Python version"));
}

TEST(Cifar, LiesInItsUsualFolder) {
  const Scratch scratch;
  scratch.write("cifar-10-batches-bin/test_batch.bin", std::string(3073, '\2'));
  EXPECT_EQ(open("cifar", scratch.path(), {{"split", "test"}}).info.classes, 10);
  scratch.write("cifar-100-binary/test.bin", std::string(3074, '\2'));
  EXPECT_THAT(failure("cifar", scratch.path(), {{"split", "test"}}),
              HasSubstr("holds cifar-10-batches-bin and cifar-100-binary; name one of them"));
}

// `labels` in turn, as many official images as asked for.
std::string records(std::int64_t count, std::int64_t classes, std::int64_t coarse = 0) {
  const std::int64_t label_bytes = coarse > 0 ? 2 : 1;
  std::string bytes(static_cast<std::size_t>(count * (label_bytes + 3072)), '\0');
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i * (label_bytes + 3072));
    bytes[at] = static_cast<char>(i % (coarse > 0 ? coarse : classes));
    if (coarse > 0) bytes[at + 1] = static_cast<char>(i % classes);
  }
  return bytes;
}

std::string names(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "class" + std::to_string(i) + "\r\n";
  return text + "\n";
}

class VerifiedCifar : public ::testing::Test {
 protected:
  std::string verdict(const char* split) const {
    return failure("cifar", scratch_.path(), {{"split", split}, {"verify", "all"}});
  }
  Scratch scratch_;
};

TEST_F(VerifiedCifar, TenIsWholeWithItsCountsAndNames) {
  scratch_.write("test_batch.bin", records(10'000, 10));
  EXPECT_THAT(verdict("test"), HasSubstr("batches.meta.txt: is not there"));
  scratch_.write("batches.meta.txt", names(9));
  EXPECT_THAT(verdict("test"), HasSubstr("batches.meta.txt: names 9 classes, not 10"));
  scratch_.write("batches.meta.txt", names(10));
  const Opened whole = open("cifar", scratch_.path(), {{"split", "test"}, {"verify", "all"}});
  EXPECT_EQ(whole.info.size, 10'000);
  EXPECT_EQ(whole.info.class_names.at(9), "class9");

  std::string bytes = records(10'000, 10);
  bytes[3073] = 7;  // was 1
  scratch_.write("test_batch.bin", bytes);
  EXPECT_THAT(verdict("test"), HasSubstr("class 1 has 999 images and class 0 1000"));
  scratch_.write("test_batch.bin", records(10'010, 10));
  EXPECT_THAT(verdict("test"), HasSubstr("has 10010 images, the official distribution 10000"));
}

TEST_F(VerifiedCifar, TenIsPartialWithoutAllBatches) {
  scratch_.write("batches.meta.txt", names(10));
  scratch_.write("data_batch_1.bin", records(1000, 10));
  scratch_.write("data_batch_3.bin", records(1000, 10));
  const std::string message = verdict("train");
  EXPECT_THAT(message, HasSubstr("is partial: 2000 of the 50000 official images; not there: data_batch_2.bin, "
                                 "data_batch_4.bin, data_batch_5.bin"));
  EXPECT_EQ(open("cifar", scratch_.path()).info.size, 2000);  // and can be used
}

TEST_F(VerifiedCifar, HundredIsWholeWithBothKindsOfLabels) {
  scratch_.write("test.bin", records(10'000, 100, 20));
  scratch_.write("fine_label_names.txt", names(100));
  EXPECT_THAT(verdict("test"), HasSubstr("coarse_label_names.txt: is not there"));
  scratch_.write("coarse_label_names.txt", names(20));
  EXPECT_EQ(verdict("test"), "no error");
  EXPECT_THAT(verdict("train"), HasSubstr("train.bin"));
  scratch_.write("train.bin", records(200, 100, 20));
  EXPECT_THAT(verdict("train"), HasSubstr("is partial: 200 of the 50000 official images"));
}

}  // namespace
}  // namespace nmlbench
