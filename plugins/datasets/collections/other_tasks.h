// Digits, satellite images, tissue, rendered text, CIFAR's test variants and DomainNet.
#pragma once

#include "collection.h"

namespace nmlbench::plugins {

ImageListing read_svhn(const std::filesystem::path& root, const Params& params);
ImageListing read_usps(const std::filesystem::path& root, const Params& params);
ImageListing read_patch_camelyon(const std::filesystem::path& root, const Params& params);
ImageListing read_eurosat(const std::filesystem::path& root, const Params& params);
ImageListing read_resisc45(const std::filesystem::path& root, const Params& params);
ImageListing read_rendered_sst2(const std::filesystem::path& root, const Params& params);
ImageListing read_cifar10_1(const std::filesystem::path& root, const Params& params);
ImageListing read_cifar_c(const std::filesystem::path& root, const Params& params);
ImageListing read_domainnet(const std::filesystem::path& root, const Params& params);
Official official_domainnet(const Params& params);

inline constexpr ParamSpec kSvhnParams[] = {
    data_folder("svhn/ with train_32x32.mat, test_32x32.mat or extra_32x32.mat"),
    split_choice("train", "train|test|extra", "which file is read"),
    NMLBENCH_SMALL_IMAGE_PARAMS,
};
inline constexpr CollectionSpec kSvhn = {
    .name = "svhn",
    .summary = "Street View House Numbers, cropped digits",
    .reference = "Netzer et al. 2011",
    .params = kSvhnParams,
    .folders = "svhn|SVHN",
    .marker = "{split}_32x32.mat",
    .official =
        [](const Params& p) {
          const std::string& split = split_of(p);
          const char* md5 = split == "train"  ? "e26dedcc434d2e4c54c9b2d4a06d8373"
                            : split == "test" ? "eb5a983be6a315427106f1b164d9cef3"
                                              : "a93ce644f1a588dc4d68dda5feec44a7";
          return Official{
              size_of(p, {{"train", 73257}, {"test", 26032}, {"extra", 531131}}), 10, {{split + "_32x32.mat", md5}}};
        },
    .read = read_svhn,
};

inline constexpr ParamSpec kUspsParams[] = {
    data_folder("usps/ with usps.h5: groups train and test of `data` in [0, 1] and `target`"),
    split_choice("train", "train|test", "which group is read"),
    NMLBENCH_SMALL_IMAGE_PARAMS,
};
inline constexpr CollectionSpec kUsps = {
    .name = "usps",
    .summary = "USPS digits in HDF5",
    .reference = "Hull 1994",
    .params = kUspsParams,
    .folders = "usps",
    .marker = "usps.h5",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"train", 7291}, {"test", 2007}}), 10};
        },
    .read = read_usps,
};

inline constexpr ParamSpec kPatchCamelyonParams[] = {
    data_folder("pcam/ with camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5"),
    split_choice("train", "train|valid|test", "which files are read"),
    NMLBENCH_SMALL_IMAGE_PARAMS,
};
inline constexpr CollectionSpec kPatchCamelyon = {
    .name = "patch-camelyon",
    .summary = "PatchCamelyon, 96 px tissue patches",
    .reference = "Veeling et al. 2018",
    .params = kPatchCamelyonParams,
    .folders = "pcam|patch-camelyon|patch_camelyon",
    .marker = "camelyonpatch_level_2_split_{split}_x.h5",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"train", 262144}, {"valid", 32768}, {"test", 32768}}), 2};
        },
    .read = read_patch_camelyon,
};

// Collections without an official split: a seeded, stratified one, or lists of file names (torchgeo's).
#define NMLBENCH_OWN_SPLIT_PARAMS                                                                             \
  ::nmlbench::choice("split", "train", "all|train|test",                                                      \
                     "without split_by = \"list\": test is `fraction` of each class")                         \
      .as(::nmlbench::Role::split),                                                                           \
      ::nmlbench::choice("protocol", "stratified", "stratified|nml",                                          \
                         "nml: VTAB's, a share of all images (80 % train, 20 % test), not of each class"),    \
      ::nmlbench::choice("split_by", "fraction", "fraction|list", "seeded share of each class, or `list`"),   \
      ::nmlbench::path("list", "", "split_by = \"list\": text file with the split's file names, one a line"), \
      ::nmlbench::real("fraction", "0.2", "share of each class that is test").range(0, 1),                    \
      ::nmlbench::integer("split_seed", "0", "chooses it").range(0, 1e15)

inline bool is_whole(const Params& params) {
  return params.text("split_by") == "fraction" && split_of(params) == "all";
}

inline constexpr ParamSpec kEuroSatParams[] = {
    data_folder("eurosat/ with 2750/CLASS/*.jpg (the RGB version)"),
    NMLBENCH_OWN_SPLIT_PARAMS,
    NMLBENCH_SMALL_IMAGE_PARAMS,
};
inline constexpr CollectionSpec kEuroSat = {
    .name = "eurosat",
    .summary = "EuroSAT, RGB",
    .reference = "Helber et al. 2019",
    .params = kEuroSatParams,
    .folders = "eurosat|EuroSAT",
    .marker = "2750",
    .official =
        [](const Params& p) {
          return Official{is_whole(p) ? 27000 : 0, 10};
        },
    .read = read_eurosat,
};

inline constexpr ParamSpec kResisc45Params[] = {
    data_folder("folder with NWPU-RESISC45/CLASS/*.jpg"),
    NMLBENCH_OWN_SPLIT_PARAMS,
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kResisc45 = {
    .name = "resisc45",
    .summary = "NWPU-RESISC45 satellite scenes",
    .reference = "Cheng et al. 2017",
    .params = kResisc45Params,
    .folders = "resisc45",
    .marker = "NWPU-RESISC45",
    .official =
        [](const Params& p) {
          return Official{is_whole(p) ? 31500 : 0, 45};
        },
    .read = read_resisc45,
};

inline constexpr ParamSpec kRenderedSst2Params[] = {
    data_folder("rendered-sst2/ with {train,valid,test}/{negative,positive}/*.png"),
    split_choice("train", "train|valid|test", "the sub-folder that is read"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kRenderedSst2 = {
    .name = "rendered-sst2",
    .summary = "Rendered SST-2: sentiment of sentences drawn as images",
    .reference = "Radford et al. 2021",
    .params = kRenderedSst2Params,
    .folders = "rendered-sst2|rendered_sst2",
    .marker = "{split}/positive",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"train", 6920}, {"valid", 872}, {"test", 1821}}), 2};
        },
    .read = read_rendered_sst2,
};

inline constexpr ParamSpec kCifar10v1Params[] = {
    data_folder("folder with cifar10.1_v6_data.npy and cifar10.1_v6_labels.npy, or v4"),
    split_choice("v6", "v4|v6", "2021 images drawn for class balance or 2000 for exact balance"),
    NMLBENCH_SMALL_IMAGE_PARAMS,
};
inline constexpr CollectionSpec kCifar10v1 = {
    .name = "cifar10-1",
    .summary = "CIFAR-10.1, a new test set for CIFAR-10",
    .reference = "Recht et al. 2018, arXiv 1806.00451",
    .params = kCifar10v1Params,
    .folders = "cifar10.1|cifar-10.1|CIFAR-10.1",
    .marker = "cifar10.1_{split}_data.npy",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"v4", 2021}, {"v6", 2000}}), 10};
        },
    .read = read_cifar10_1,
};

inline constexpr ParamSpec kCifarCParams[] = {
    data_folder("CIFAR-10-C/ or CIFAR-100-C/ with labels.npy and a file for each kind"),
    text("split", "gaussian_noise", "the corruption: gaussian_noise, fog, jpeg_compression, ...").as(Role::split),
    integer("strength", "3", "which fifth of the file, 1 to 5").range(1, 5),
    integer("classes", "10", "10 or 100").as(Role::classes).range(2, 100),
    NMLBENCH_SMALL_IMAGE_PARAMS,
};
inline constexpr CollectionSpec kCifarC = {
    .name = "cifar-c",
    .summary = "CIFAR-10-C and CIFAR-100-C, corrupted test sets",
    .reference = "Hendrycks and Dietterich 2019, arXiv 1903.12261",
    .params = kCifarCParams,
    .folders = "CIFAR-{classes}-C",
    .marker = "{split}.npy",
    .official =
        [](const Params& p) {
          return Official{10000, p.integer("classes")};
        },
    .read = read_cifar_c,
};

inline constexpr ParamSpec kDomainNetParams[] = {
    data_folder("domainnet/ with DOMAIN/CLASS/ folders and lists DOMAIN_train.txt, DOMAIN_test.txt"),
    split_choice("train", "train|test", "the list that is read"),
    choice("domain", "real", "clipart|infograph|painting|quickdraw|real|sketch", "the domain").as(Role::domain),
    NMLBENCH_DECODE_PARAMS("224", "crop", "0.95", "bicubic"),
    NMLBENCH_SUBSET_PARAMS,
    NMLBENCH_VERIFY_PARAM,
};
inline constexpr CollectionSpec kDomainNet = {
    .name = "domainnet",
    .summary = "DomainNet, 345 classes in six domains",
    .reference = "Peng et al. 2019",
    .params = kDomainNetParams,
    .folders = "domainnet|DomainNet|domain_net",
    .marker = "{domain}_{split}.txt",
    .official = official_domainnet,
    .read = read_domainnet,
};

}  // namespace nmlbench::plugins
