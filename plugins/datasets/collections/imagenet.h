// ImageNet-1K and the test sets made for its classes.
#pragma once

#include "collection.h"

namespace nmlbench::plugins {

ImageListing read_imagenet(const std::filesystem::path& root, const Params& params);
ImageListing read_imagenet_v2(const std::filesystem::path& root, const Params& params);
ImageListing read_imagenet_sketch(const std::filesystem::path& root, const Params& params);
ImageListing read_imagenet_r(const std::filesystem::path& root, const Params& params);
ImageListing read_imagenet_a(const std::filesystem::path& root, const Params& params);
ImageListing read_objectnet(const std::filesystem::path& root, const Params& params);

// Labels are 0 to 999 in the order of the WordNet ids ("n01440764" is 0), as everywhere. A list of them beside the data
// (imagenet_synsets.txt, or Kaggle's LOC_synset_mapping.txt) must say the same.
inline constexpr ParamSpec kImageNetParams[] = {
    data_folder("folder with train/WNID/ and val/WNID/, or val/*.JPEG and LOC_val_solution.csv (Kaggle)"),
    split_choice("train", "train|val", "the sub-folder that is read"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kImageNet = {
    .name = "imagenet",
    .summary = "ImageNet-1K",
    .reference = "Russakovsky et al. 2015",
    .params = kImageNetParams,
    .folders = "imagenet|ILSVRC2012|ILSVRC/Data/CLS-LOC",
    .marker = "{split}",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"train", 1281167}, {"val", 50000}}), 1000};
        },
    .read = read_imagenet,
};

inline constexpr ParamSpec kImageNetV2Params[] = {
    data_folder("imagenetv2-matched-frequency-format-val/ (or another variant) with folders 0 to 999"),
    split_choice("matched-frequency", "matched-frequency|threshold0.7|top-images", "the variant"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kImageNetV2 = {
    .name = "imagenet-v2",
    .summary = "ImageNet-V2, a new test set",
    .reference = "Recht et al. 2019, arXiv 1902.10811",
    .params = kImageNetV2Params,
    .folders = "imagenetv2-{split}-format-val|imagenet-v2/imagenetv2-{split}-format-val",
    .marker = "0",
    .official =
        [](const Params&) {
          return Official{10000, 1000};
        },
    .read = read_imagenet_v2,
};

inline constexpr ParamSpec kImageNetSketchParams[] = {
    data_folder("folder with sketch/WNID/*.JPEG"),
    split_choice("test", "test", "there is one"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kImageNetSketch = {
    .name = "imagenet-sketch",
    .summary = "ImageNet-Sketch",
    .reference = "Wang et al. 2019, arXiv 1905.13549",
    .params = kImageNetSketchParams,
    .folders = "imagenet-sketch|ImageNet-Sketch",
    .marker = "sketch",
    .official =
        [](const Params&) {
          return Official{50889, 1000};
        },
    .read = read_imagenet_sketch,
};

// Two hundred of the classes. A head over ImageNet-1K is scored on these alone (SplitInfo::training_classes).
#define NMLBENCH_SYNSETS_PARAM                                                                   \
  ::nmlbench::path("synsets", "",                                                                \
                   "text file with ImageNet-1K's 1,000 WordNet ids in label order, one a line; " \
                   "\"\" is imagenet_synsets.txt in `path`")

inline constexpr ParamSpec kImageNetRParams[] = {
    data_folder("imagenet-r/ with 200 folders WNID/*.jpg"),
    split_choice("test", "test", "there is one"),
    NMLBENCH_SYNSETS_PARAM,
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kImageNetR = {
    .name = "imagenet-r",
    .summary = "ImageNet-R: renditions, 200 classes",
    .reference = "Hendrycks et al. 2021, arXiv 2006.16241",
    .params = kImageNetRParams,
    .folders = "imagenet-r",
    .marker = "n01443537",
    .official =
        [](const Params&) {
          return Official{30000, 200};
        },
    .read = read_imagenet_r,
};

inline constexpr ParamSpec kImageNetAParams[] = {
    data_folder("imagenet-a/ with 200 folders WNID/*.jpg"),
    split_choice("test", "test", "there is one"),
    NMLBENCH_SYNSETS_PARAM,
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kImageNetA = {
    .name = "imagenet-a",
    .summary = "ImageNet-A: hard photos, 200 classes",
    .reference = "Hendrycks et al. 2021, arXiv 1907.07174",
    .params = kImageNetAParams,
    .folders = "imagenet-a",
    .marker = "n01498041",
    .official =
        [](const Params&) {
          return Official{7500, 200};
        },
    .read = read_imagenet_a,
};

// The 113 classes that overlap with ImageNet-1K; each is scored by the largest of the logits it maps to.
inline constexpr ParamSpec kObjectNetParams[] = {
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
inline constexpr CollectionSpec kObjectNet = {
    .name = "objectnet",
    .summary = "ObjectNet, the 113 classes shared with ImageNet-1K",
    .reference = "Barbu et al. 2019",
    .params = kObjectNetParams,
    .folders = "objectnet-1.0|objectnet",
    .marker = "images",
    .official =
        [](const Params&) {
          return Official{18574, 113};
        },
    .read = read_objectnet,
};

}  // namespace nmlbench::plugins
