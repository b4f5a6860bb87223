// Shares of a batch get what the whole batch would: every sample once, with its draws and its partner in mixing.
#include "engine/augment.h"
#include "engine/label_loss.h"
#include "engine/lesson.h"
#include "engine/mixing.h"
#include "engine/random_erasing.h"

#include <nmlbench/error.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using torch::Tensor;

Tensor some_images(std::int64_t count) {
  return Stream(8).integers({count, 3, 12, 10}, 256).to(torch::kUInt8);
}

// work(share) for each process of several divisions.
template <typename Work>
void for_each_share(std::int64_t size, const Work& work) {
  for (const std::int64_t ranks : {1, 2, 3, 4}) {
    for (std::int64_t rank = 0; rank < ranks; ++rank) work(share_of_batch(size, rank, ranks));
  }
}

TEST(BatchShare, EverySampleIsInOneShareWithItsPartner) {
  for (const std::int64_t size : {2, 7, 8, 31, 64}) {
    for (const std::int64_t ranks : {1, 2, 3, 4}) {
      if (ranks > (size + 1) / 2) continue;
      std::vector<Tensor> all;
      for (std::int64_t rank = 0; rank < ranks; ++rank) {
        const BatchShare share = share_of_batch(size, rank, ranks);
        ASSERT_GT(share.places.numel(), 0);
        EXPECT_EQ(share.size, size);
        EXPECT_TRUE(torch::equal(share.places, size - 1 - share.places.flip(0)));
        EXPECT_LE(std::abs(share.places.numel() * ranks - size), 2 * ranks);
        all.push_back(share.places);
      }
      EXPECT_TRUE(torch::equal(std::get<0>(torch::cat(all).sort()), torch::arange(size)));
    }
  }
}

TEST(BatchShare, ABatchTooSmallForItsProcessesIsRefused) {
  try {
    share_of_batch(6, 0, 4);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("6 samples is too small for 4 processes"));
  }
}

TEST(BatchShare, AugmentationDrawsByPlacesInTheWholeBatch) {
  const Tensor images = some_images(9);
  Augmentation shifts, crops, jitters, photos, random;
  shifts.shift = shifts.flip = true;
  shifts.max_shift = 3;
  crops.crop = crops.flip = true;
  crops.min_scale = 0.2;
  crops.max_scale = 1;
  jitters.jitter = 0.4;
  photos.photo_crop = photos.flip = true;
  random.operations = 2;
  random.magnitude = 9;
  for (const Augmentation& augmentation : {shifts, crops, jitters, photos, random}) {
    const Tensor whole = augment(images, augmentation, Stream(4));
    ASSERT_FALSE(torch::equal(whole, images));
    for_each_share(9, [&](const BatchShare& share) {
      EXPECT_TRUE(torch::equal(augment(images.index_select(0, share.places), augmentation, Stream(4), share),
                               whole.index_select(0, share.places)));
    });
  }
}

TEST(BatchShare, ErasingMixingAndTargetsAreThoseOfTheWholeBatch) {
  const Tensor x = some_images(9).to(torch::kFloat32), labels = Stream(6).integers({9}, 4);
  const Tensor erased = random_erasing(x, 0.5, Stream(2));
  ASSERT_FALSE(torch::equal(erased, x));
  const std::vector<Mix> mixes = {{0.3, std::nullopt}, {0.75, cutmix_box(0.25, 12, 10, 5, 5)}};
  for_each_share(9, [&](const BatchShare& share) {
    const auto own = [&](const Tensor& of) { return of.index_select(0, share.places); };
    EXPECT_TRUE(torch::equal(random_erasing(own(x), 0.5, Stream(2), share), own(erased)));
    for (const Mix& mix : mixes) {
      EXPECT_TRUE(torch::equal(mixed(own(x), mix), own(mixed(x, mix))));
      EXPECT_TRUE(
          torch::equal(soft_targets(own(labels), 4, 0.1, mix.share), own(soft_targets(labels, 4, 0.1, mix.share))));
    }
  });
}

}  // namespace
}  // namespace nmlbench
