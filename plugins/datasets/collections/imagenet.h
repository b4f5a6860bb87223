// ImageNet-1K and the test sets made for its classes.
#pragma once

#include "fine_grained.h"

namespace nmlbench::plugins {

// Labels are 0 to 999 in the order of the WordNet ids ("n01440764" is 0), as everywhere. A list of them beside the data
// (imagenet_synsets.txt, or Kaggle's LOC_synset_mapping.txt) must say the same.
class ImageNet : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("folder with train/WNID/ and val/WNID/, or val/*.JPEG and LOC_val_solution.csv (Kaggle)"),
      split_choice("train", "train|val", "the sub-folder that is read"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class ImageNetV2 : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("imagenetv2-matched-frequency-format-val/ (or another variant) with folders 0 to 999"),
      split_choice("matched-frequency", "matched-frequency|threshold0.7|top-images", "the variant"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class ImageNetSketch : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("folder with sketch/WNID/*.JPEG"),
      split_choice("test", "test", "there is one"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

// Two hundred of the classes. A head over ImageNet-1K is scored on these alone (SplitInfo::training_classes).
#define NMLBENCH_SYNSETS_PARAM                                                                   \
  ::nmlbench::path("synsets", "",                                                                \
                   "text file with ImageNet-1K's 1,000 WordNet ids in label order, one a line; " \
                   "\"\" is imagenet_synsets.txt in `path`")

class ImageNetR : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("imagenet-r/ with 200 folders WNID/*.jpg"),
      split_choice("test", "test", "there is one"),
      NMLBENCH_SYNSETS_PARAM,
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class ImageNetA : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("imagenet-a/ with 200 folders WNID/*.jpg"),
      split_choice("test", "test", "there is one"),
      NMLBENCH_SYNSETS_PARAM,
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

// The 113 classes that overlap with ImageNet-1K; each is scored by the largest of the logits it maps to.
class ObjectNet : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("objectnet-1.0/ with images/FOLDER/*.png and mappings/*.json"),
      split_choice("test", "test", "there is one"),
      integer("border", "2", "red pixels on each side that are cut off before resizing, as the authors of NMTune do")
          .in("px")
          .range(0, 100),
      path("mappings", "",
           "folder with folder_to_objectnet_label.json, objectnet_to_imagenet_1k.json, "
           "pytorch_to_imagenet_2012_id.json, imagenet_to_label_2012_v2; \"\" is mappings/"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

}  // namespace nmlbench::plugins
