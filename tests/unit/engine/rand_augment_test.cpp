// RandAugment and random resized crops against torchvision's on Pillow images: rand_augment_expected.json is what
// rand_augment_reference.py printed.
#include "engine/rand_augment.h"

#include "engine/augment.h"
#include "engine/random_crop.h"
#include "support/pillow.h"

#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using testing::fnv;
using testing::reference_image;
using torch::Tensor;

const std::map<std::string, ImageOperation> kByName = {{"identity", ImageOperation::identity},
                                                       {"shear_x", ImageOperation::shear_x},
                                                       {"shear_y", ImageOperation::shear_y},
                                                       {"translate_x", ImageOperation::translate_x},
                                                       {"translate_y", ImageOperation::translate_y},
                                                       {"rotate", ImageOperation::rotate},
                                                       {"brightness", ImageOperation::brightness},
                                                       {"colour", ImageOperation::colour},
                                                       {"contrast", ImageOperation::contrast},
                                                       {"sharpness", ImageOperation::sharpness},
                                                       {"posterize", ImageOperation::posterize},
                                                       {"solarize", ImageOperation::solarize},
                                                       {"auto_contrast", ImageOperation::auto_contrast},
                                                       {"equalize", ImageOperation::equalize}};

TEST(RandAugment, EveryOperationIsTorchvisionsOnPillowImages) {
  const nlohmann::json all = testing::made_by_pillow();
  for (const auto& [key, channels] : {std::pair{"operations", 3}, {"grey", 1}}) {
    EXPECT_EQ(all.at(key).size(), 14 + 3 * (14 + 9)) << "all operations at 0, 5, 17 and 30, nine of them both ways";
    for (const auto& [name, hash] : all.at(key).items()) {
      const std::size_t blank = name.find(' ');
      const int magnitude = std::stoi(name.substr(blank + 1));
      const Tensor out = apply_operation(kByName.at(name.substr(0, blank)), reference_image(channels),
                                         std::abs(magnitude), magnitude < 0);
      EXPECT_EQ(fnv(out), hash.get<std::uint32_t>()) << key << ": " << name;
    }
  }
}

TEST(RandAugment, DrawsEveryOperationAlikeAndEachImageItsOwn) {
  constexpr std::int64_t kImages = 2800;
  const Tensor images = reference_image(1).expand({kImages, 1, 24, 32});
  std::map<std::uint32_t, std::set<std::int64_t>> operations;  // by what they make of the image
  for (std::int64_t k = 0; k < kImageOperations; ++k) {
    for (const bool negative : {false, true}) {
      operations[fnv(apply_operation(static_cast<ImageOperation>(k), images[0], 5, negative))].insert(k);
    }
  }
  const Tensor out = rand_augment(images, 1, 5, Stream(3));
  std::map<std::set<std::int64_t>, std::int64_t> counts;
  for (std::int64_t i = 0; i < kImages; ++i) ++counts[operations.at(fnv(out[i]))];
  for (const auto& [alike, count] : counts) {  // on grey, colour does what identity does
    const double share = static_cast<double>(alike.size()) / 14.0;
    EXPECT_NEAR(static_cast<double>(count), kImages * share, 5 * std::sqrt(kImages * share));
  }
  EXPECT_TRUE(torch::equal(out, rand_augment(images, 1, 5, Stream(3))));
  EXPECT_TRUE(torch::equal(out.slice(0, 0, 9), rand_augment(images.slice(0, 0, 9), 1, 5, Stream(3))));
  EXPECT_FALSE(torch::equal(out, rand_augment(images, 1, 5, Stream(4))));
  EXPECT_TRUE(torch::equal(images, rand_augment(images, 0, 5, Stream(3))));
}

// The boxes of many draws: inside the image, of the area and aspect ratio asked for, and each place of a box alike.
TEST(RandomCrop, HasTheAreaAndTheAspectRatioAskedFor) {
  constexpr std::int64_t kWidth = 400, kHeight = 300, kBoxes = 4000;
  double areas = 0, right_of_middle = 0;
  for (std::int64_t i = 0; i < kBoxes; ++i) {
    const CropBox box = random_crop(kWidth, kHeight, 0.2, 0.6, Stream(1).at(i));
    ASSERT_GE(box.left, 0);
    ASSERT_GE(box.top, 0);
    ASSERT_LE(box.left + box.width, kWidth);
    ASSERT_LE(box.top + box.height, kHeight);
    const double aspect = static_cast<double>(box.width) / static_cast<double>(box.height);
    EXPECT_GT(aspect, 0.75 * 0.98);
    EXPECT_LT(aspect, 4.0 / 3.0 * 1.02);
    const double area = static_cast<double>(box.width * box.height) / (kWidth * kHeight);
    EXPECT_GT(area, 0.2 * 0.98);
    EXPECT_LT(area, 0.6 * 1.02);
    areas += area / kBoxes;
    right_of_middle += (2 * box.left > kWidth - box.width ? 1.0 : 0.0) / kBoxes;
  }
  EXPECT_NEAR(areas, 0.4, 0.01);
  EXPECT_NEAR(right_of_middle, 0.5, 0.03);
}

// A panorama holds no box of that area: after ten tries, the largest centred one of 4 : 3.
TEST(RandomCrop, FallsBackToTheCentre) {
  const CropBox wide = random_crop(1000, 30, 0.8, 1.0, Stream(1)), tall = random_crop(30, 1000, 0.8, 1.0, Stream(1));
  EXPECT_EQ(std::vector({wide.left, wide.top, wide.width, wide.height}), (std::vector<std::int64_t>{480, 0, 40, 30}));
  EXPECT_EQ(std::vector({tall.left, tall.top, tall.width, tall.height}), (std::vector<std::int64_t>{0, 480, 30, 40}));
}

// What a strong view is made of: RandAugment on the crop, then the flip.
TEST(Augment, OfPhotoCropsIsRandAugmentThenAFlip) {
  Augmentation augmentation;
  augmentation.photo_crop = augmentation.flip = true;
  augmentation.operations = 3;
  augmentation.magnitude = 5;
  const Tensor crops = reference_image(3).expand({60, 3, 24, 32});
  const Tensor out = augment(crops, augmentation, Stream(9));
  const Tensor strong = rand_augment(crops, 3, 5, Stream(9).at("randaugment"));
  std::int64_t flipped = 0;
  for (std::int64_t i = 0; i < 60; ++i) {
    const bool mirrored = torch::equal(out[i], strong[i].flip(2));
    EXPECT_TRUE(mirrored || torch::equal(out[i], strong[i]));
    flipped += mirrored ? 1 : 0;
  }
  EXPECT_GT(flipped, 15);
  EXPECT_LT(flipped, 45);
}

}  // namespace
}  // namespace nmlbench
