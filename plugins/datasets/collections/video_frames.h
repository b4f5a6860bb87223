// Frames of videos that hardly differ (Shankar et al. 2021, arXiv 1906.02168): do predictions survive? Each anchor
// frame comes with those within 10 frames of it that people found to look the same.
#pragma once

#include "collection.h"

namespace nmlbench::plugins {

ImageListing read_imagenet_vid_robust(const std::filesystem::path& root, const Params& params);
ImageListing read_ytbb_robust(const std::filesystem::path& root, const Params& params);

#define NMLBENCH_PM_PARAM                                                                                          \
  ::nmlbench::choice("score", "pm-0", "pm-0|pm-10",                                                                \
                     "pm-0: anchor frames; pm-10: an anchor is right when every frame within 10 of it is, so the " \
                     "set is scored as its worst frame")

// The largest logit of the ImageNet classes below each of 30 classes of ImageNet VID; a frame may show several of them.
inline constexpr ParamSpec kImageNetVidRobustParams[] = {
    data_folder("imagenet-vid-robust/ with val/VIDEO/*.JPEG, metadata/{pmsets,labels}.json and "
                "misc/{rev_wnid_map,imagenet_class_index,imagenet_vid_class_index}.json"),
    split_choice("test", "test", "there is one"),
    NMLBENCH_PM_PARAM,
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kImageNetVidRobust = {
    .name = "imagenet-vid-robust",
    .summary = "ImageNet-Vid-Robust: frames of videos, pm-0 and pm-10",
    .reference = "Shankar et al. 2021, arXiv 1906.02168",
    .params = kImageNetVidRobustParams,
    .folders = "imagenet-vid-robust|imagenet_vid_ytbb_robust/imagenet-vid-robust",
    .marker = "metadata/pmsets.json",
    .official =
        [](const Params& p) {
          return Official{p.text("score") == "pm-0" ? 1109 : 0, 30};
        },
    .read = read_imagenet_vid_robust,
};

// YouTube-BB: those of its classes that ImageNet-1K has. Anchors of other classes alone are left out: no head over
// ImageNet can be right there.
inline constexpr ParamSpec kYtbbRobustParams[] = {
    data_folder("ytbb-robust/ with ytbb_videos/VIDEO_TIME/frame-NUMBER.jpg"),
    split_choice("test", "test", "there is one"),
    NMLBENCH_PM_PARAM,
    path("metadata", "",
         "folder with anchor_labels.json, pmk_labels.json, ytbb_class_index.json, rev_class_idx_map.json and "
         "ytbb_robustness_test_anchors_full.csv; \"\" is metadata/"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kYtbbRobust = {
    .name = "ytbb-robust",
    .summary = "YTBB-Robust: frames of videos, pm-0 and pm-10",
    .reference = "Shankar et al. 2021, arXiv 1906.02168",
    .params = kYtbbRobustParams,
    .folders = "ytbb-robust|imagenet_vid_ytbb_robust/ytbb-robust",
    .marker = "ytbb_videos",
    .official =
        [](const Params&) {
          return Official{0, 19};
        },
    .read = read_ytbb_robust,
};

}  // namespace nmlbench::plugins
