// Digits, satellite images, tissue, rendered text, CIFAR's test variants and DomainNet.
#pragma once

#include "fine_grained.h"

namespace nmlbench::plugins {

class Svhn : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("svhn/ with train_32x32.mat, test_32x32.mat or extra_32x32.mat"),
      split_choice("train", "train|test|extra", "which file is read"),
      NMLBENCH_SMALL_IMAGE_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class Usps : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("usps/ with usps.h5: groups train and test of `data` in [0, 1] and `target`"),
      split_choice("train", "train|test", "which group is read"),
      NMLBENCH_SMALL_IMAGE_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class PatchCamelyon : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("pcam/ with camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5"),
      split_choice("train", "train|valid|test", "which files are read"),
      NMLBENCH_SMALL_IMAGE_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
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

class EuroSat : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("eurosat/ with 2750/CLASS/*.jpg (the RGB version)"),
      NMLBENCH_OWN_SPLIT_PARAMS,
      NMLBENCH_SMALL_IMAGE_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class Resisc45 : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("folder with NWPU-RESISC45/CLASS/*.jpg"),
      NMLBENCH_OWN_SPLIT_PARAMS,
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class RenderedSst2 : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("rendered-sst2/ with {train,valid,test}/{negative,positive}/*.png"),
      split_choice("train", "train|valid|test", "the sub-folder that is read"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class Cifar10v1 : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("folder with cifar10.1_v6_data.npy and cifar10.1_v6_labels.npy, or v4"),
      split_choice("v6", "v4|v6", "2021 images drawn for class balance or 2000 for exact balance"),
      NMLBENCH_SMALL_IMAGE_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class CifarC : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("CIFAR-10-C/ or CIFAR-100-C/ with labels.npy and a file for each kind"),
      text("split", "gaussian_noise", "the corruption: gaussian_noise, fog, jpeg_compression, ...").as(Role::split),
      integer("strength", "3", "which fifth of the file, 1 to 5").range(1, 5),
      integer("classes", "10", "10 or 100").as(Role::classes).range(2, 100),
      NMLBENCH_SMALL_IMAGE_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class DomainNet : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("domainnet/ with DOMAIN/CLASS/ folders and lists DOMAIN_train.txt, DOMAIN_test.txt"),
      split_choice("train", "train|test", "the list that is read"),
      choice("domain", "real", "clipart|infograph|painting|quickdraw|real|sketch", "the domain").as(Role::domain),
      NMLBENCH_DECODE_PARAMS("224", "crop", "0.95", "bicubic"),
      NMLBENCH_SUBSET_PARAMS,
      NMLBENCH_VERIFY_PARAM,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

}  // namespace nmlbench::plugins
