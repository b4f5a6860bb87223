// Frames of videos that hardly differ (Shankar et al. 2021, arXiv 1906.02168): do predictions survive? Each anchor
// frame comes with those within 10 frames of it that people found to look the same.
#pragma once

#include "collection.h"

namespace nmlbench::plugins {

struct VideoFrame {
  std::string path;                 // relative to the root
  std::vector<std::int64_t> right;  // the classes that are in it
};

struct Videos {
  std::vector<std::string> class_names;
  std::vector<std::vector<std::int64_t>> training_classes;  // of ImageNet-1K, for each class
  std::vector<std::vector<VideoFrame>> sets;                // the anchor first
};

#define NMLBENCH_PM_PARAM                                                                                          \
  ::nmlbench::choice("score", "pm-0", "pm-0|pm-10",                                                                \
                     "pm-0: anchor frames; pm-10: an anchor is right when every frame within 10 of it is, so the " \
                     "set is scored as its worst frame")

class VideoCollection : public Collection {
 public:
  using Collection::Collection;

 protected:
  // Throws DataError also for parameters that would tear sets apart.
  ImageListing read(const std::filesystem::path& root) final;
  virtual Videos videos(const std::filesystem::path& root) const = 0;
};

// The largest logit of the ImageNet classes below each of 30 classes of ImageNet VID; a frame may show several of them.
class ImageNetVidRobust : public VideoCollection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("imagenet-vid-robust/ with val/VIDEO/*.JPEG, metadata/{pmsets,labels}.json and "
                  "misc/{rev_wnid_map,imagenet_class_index,imagenet_vid_class_index}.json"),
      split_choice("test", "test", "there is one"),
      NMLBENCH_PM_PARAM,
      NMLBENCH_PHOTO_PARAMS,
  };
  using VideoCollection::VideoCollection;

 protected:
  Videos videos(const std::filesystem::path& root) const override;
  Official official() const override;
  std::vector<std::string> folder_names() const override;
  std::string marker() const override;
};

// YouTube-BB: those of its classes that ImageNet-1K has. Anchors of other classes alone are left out: no head over
// ImageNet can be right there.
class YtbbRobust : public VideoCollection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("ytbb-robust/ with ytbb_videos/VIDEO_TIME/frame-NUMBER.jpg"),
      split_choice("test", "test", "there is one"),
      NMLBENCH_PM_PARAM,
      path("metadata", "",
           "folder with anchor_labels.json, pmk_labels.json, ytbb_class_index.json, rev_class_idx_map.json and "
           "ytbb_robustness_test_anchors_full.csv; \"\" is metadata/"),
      NMLBENCH_PHOTO_PARAMS,
  };
  using VideoCollection::VideoCollection;

 protected:
  Videos videos(const std::filesystem::path& root) const override;
  Official official() const override;
  std::vector<std::string> folder_names() const override;
  std::string marker() const override;
};

}  // namespace nmlbench::plugins
