// Fine-grained and texture collections: flowers, pets, cars, aircraft, food, textures, objects.
#pragma once

#include "collection.h"

namespace nmlbench::plugins {

#define NMLBENCH_COLLECTION_OVERRIDES                            \
  using Collection::Collection;                                  \
                                                                 \
 protected:                                                      \
  ImageListing read(const std::filesystem::path& root) override; \
  Official official() const override;                            \
  std::vector<std::string> folder_names() const override;        \
  std::string marker() const override

class Flowers102 : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("flowers-102/ with jpg/image_00001.jpg.., imagelabels.mat and setid.mat"),
      split_choice("train", "train|val|trainval|test", "setid.mat's trnid, valid, both, tstid"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class OxfordPets : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("oxford-iiit-pet/ with images/ and annotations/{trainval,test}.txt"),
      split_choice("trainval", "trainval|test", "the list that is read"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class StanfordCars : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("stanford_cars/ with cars_train/, cars_test/, devkit/ and cars_test_annos_withlabels.mat"),
      split_choice("train", "train|test", "which annotations are read"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class FgvcAircraft : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("fgvc-aircraft-2013b/ with data/images/ and data/images_variant_{train,val,..}.txt"),
      split_choice("trainval", "train|val|trainval|test", "the list that is read"),
      choice("protocol", "official", "official|nml",
             "nml: as the authors of NMTune, who train on `train`; no trainval"),
      choice("level", "variant", "variant|family|manufacturer", "100, 70 or 30 classes"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class Food101 : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("food-101/ with images/CLASS/ and meta/{train,test,classes}.txt"),
      split_choice("train", "train|test", "the list that is read"),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class DescribableTextures : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("dtd/ with images/CLASS/ and labels/{train,val,test}{1..10}.txt"),
      split_choice("train", "train|val|trainval|test", "the list that is read"),
      integer("partition", "1", "which of the ten official divisions").range(1, 10),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

class Caltech101 : public Collection {
 public:
  static constexpr ParamSpec kParams[] = {
      data_folder("caltech101/ with 101_ObjectCategories/CLASS/"),
      split_choice("train", "all|train|test", "train: per_class seeded images of each class; test: the others"),
      choice("protocol", "objects", "objects|nml",
             "objects: the 101 of them; nml: VTAB's 102 classes, BACKGROUND_Google among them"),
      integer("per_class", "30", "training images of a class").range(1, 1e4),
      integer("split_seed", "0", "chooses them").range(0, 1e15),
      NMLBENCH_PHOTO_PARAMS,
  };
  NMLBENCH_COLLECTION_OVERRIDES;
};

}  // namespace nmlbench::plugins
