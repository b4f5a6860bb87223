// Fine-grained and texture collections: flowers, pets, cars, aircraft, food, textures, objects.
#pragma once

#include "collection.h"

namespace nmlbench::plugins {

ImageListing read_flowers102(const std::filesystem::path& root, const Params& params);
ImageListing read_oxford_pets(const std::filesystem::path& root, const Params& params);
ImageListing read_stanford_cars(const std::filesystem::path& root, const Params& params);
ImageListing read_fgvc_aircraft(const std::filesystem::path& root, const Params& params);
ImageListing read_food101(const std::filesystem::path& root, const Params& params);
ImageListing read_dtd(const std::filesystem::path& root, const Params& params);
ImageListing read_caltech101(const std::filesystem::path& root, const Params& params);

inline constexpr ParamSpec kFlowers102Params[] = {
    data_folder("flowers-102/ with jpg/image_00001.jpg.., imagelabels.mat and setid.mat"),
    split_choice("train", "train|val|trainval|test", "setid.mat's trnid, valid, both, tstid"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kFlowers102 = {
    .name = "flowers102",
    .summary = "Oxford 102 Flowers",
    .reference = "Nilsback and Zisserman 2008",
    .params = kFlowers102Params,
    .folders = "flowers-102|flowers102|oxford_flowers102",
    .marker = "setid.mat",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"train", 1020}, {"val", 1020}, {"trainval", 2040}, {"test", 6149}}),
                          102,
                          {{"imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"},
                           {"setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"}}};
        },
    .read = read_flowers102,
};

inline constexpr ParamSpec kOxfordPetsParams[] = {
    data_folder("oxford-iiit-pet/ with images/ and annotations/{trainval,test}.txt"),
    split_choice("trainval", "trainval|test", "the list that is read"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kOxfordPets = {
    .name = "oxford-pets",
    .summary = "Oxford-IIIT Pet, 37 breeds",
    .reference = "Parkhi et al. 2012",
    .params = kOxfordPetsParams,
    .folders = "oxford-iiit-pet|oxford_pets|pets",
    .marker = "annotations/trainval.txt",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"trainval", 3680}, {"test", 3669}}), 37};
        },
    .read = read_oxford_pets,
};

inline constexpr ParamSpec kStanfordCarsParams[] = {
    data_folder("stanford_cars/ with cars_train/, cars_test/, devkit/ and cars_test_annos_withlabels.mat"),
    split_choice("train", "train|test", "which annotations are read"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kStanfordCars = {
    .name = "stanford-cars",
    .summary = "Stanford Cars, 196 models",
    .reference = "Krause et al. 2013",
    .params = kStanfordCarsParams,
    .folders = "stanford_cars|stanford-cars|cars",
    .marker = "devkit/cars_meta.mat",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"train", 8144}, {"test", 8041}}), 196};
        },
    .read = read_stanford_cars,
};

inline constexpr ParamSpec kFgvcAircraftParams[] = {
    data_folder("fgvc-aircraft-2013b/ with data/images/ and data/images_variant_{train,val,..}.txt"),
    split_choice("trainval", "train|val|trainval|test", "the list that is read"),
    choice("protocol", "official", "official|nml", "nml: as the authors of NMTune, who train on `train`; no trainval"),
    choice("level", "variant", "variant|family|manufacturer", "100, 70 or 30 classes"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kFgvcAircraft = {
    .name = "fgvc-aircraft",
    .summary = "FGVC-Aircraft",
    .reference = "Maji et al. 2013, arXiv 1306.5151",
    .params = kFgvcAircraftParams,
    .folders = "fgvc-aircraft-2013b|fgvc_aircraft",
    .marker = "data/images_variant_train.txt",
    .official =
        [](const Params& p) {
          const std::string& level = p.text("level");
          return Official{size_of(p, {{"train", 3334}, {"val", 3333}, {"trainval", 6667}, {"test", 3333}}),
                          level == "variant"  ? 100
                          : level == "family" ? 70
                                              : 30};
        },
    .read = read_fgvc_aircraft,
};

inline constexpr ParamSpec kFood101Params[] = {
    data_folder("food-101/ with images/CLASS/ and meta/{train,test,classes}.txt"),
    split_choice("train", "train|test", "the list that is read"),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kFood101 = {
    .name = "food101",
    .summary = "Food-101",
    .reference = "Bossard et al. 2014",
    .params = kFood101Params,
    .folders = "food-101|food101",
    .marker = "meta/classes.txt",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"train", 75750}, {"test", 25250}}), 101};
        },
    .read = read_food101,
};

inline constexpr ParamSpec kDtdParams[] = {
    data_folder("dtd/ with images/CLASS/ and labels/{train,val,test}{1..10}.txt"),
    split_choice("train", "train|val|trainval|test", "the list that is read"),
    integer("partition", "1", "which of the ten official divisions").range(1, 10),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kDtd = {
    .name = "dtd",
    .summary = "Describable Textures, 47 classes",
    .reference = "Cimpoi et al. 2014",
    .params = kDtdParams,
    .folders = "dtd",
    .marker = "labels/train1.txt",
    .official =
        [](const Params& p) {
          return Official{size_of(p, {{"train", 1880}, {"val", 1880}, {"trainval", 3760}, {"test", 1880}}), 47};
        },
    .read = read_dtd,
};

inline constexpr ParamSpec kCaltech101Params[] = {
    data_folder("caltech101/ with 101_ObjectCategories/CLASS/"),
    split_choice("train", "all|train|test", "train: per_class seeded images of each class; test: the others"),
    choice("protocol", "objects", "objects|nml",
           "objects: the 101 of them; nml: VTAB's 102 classes, BACKGROUND_Google among them"),
    integer("per_class", "30", "training images of a class").range(1, 1e4),
    integer("split_seed", "0", "chooses them").range(0, 1e15),
    NMLBENCH_PHOTO_PARAMS,
};
inline constexpr CollectionSpec kCaltech101 = {
    .name = "caltech101",
    .summary = "Caltech-101",
    .reference = "Fei-Fei et al. 2004",
    .params = kCaltech101Params,
    .folders = "caltech101|caltech-101",
    .marker = "101_ObjectCategories",
    .official =
        [](const Params& p) {
          const bool nml = p.text("protocol") == "nml";
          const std::int64_t all = nml ? 9144 : 8677, classes = nml ? 102 : 101;
          const std::int64_t train = classes * p.integer("per_class");
          if (p.integer("per_class") > 30) return Official{0, classes};  // some classes have 31 images
          return Official{size_of(p, {{"all", all}, {"train", train}, {"test", all - train}}), classes};
        },
    .read = read_caltech101,
};

}  // namespace nmlbench::plugins
