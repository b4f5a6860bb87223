// The collections as plugins, one for each data set.
#include "imagenet.h"
#include "other_tasks.h"
#include "video_frames.h"

#include <nmlbench/plugin.h>

using namespace nmlbench::plugins;
using nmlbench::entry;

NMLBENCH_PLUGINS(
    "nmlbench-collections", "0.1.0", "Apache-2.0", "",
    entry<Flowers102>("flowers102", 1, "Oxford 102 Flowers", "Nilsback and Zisserman 2008"),
    entry<OxfordPets>("oxford-pets", 1, "Oxford-IIIT Pet, 37 breeds", "Parkhi et al. 2012"),
    entry<StanfordCars>("stanford-cars", 1, "Stanford Cars, 196 models", "Krause et al. 2013"),
    entry<FgvcAircraft>("fgvc-aircraft", 1, "FGVC-Aircraft", "Maji et al. 2013, arXiv 1306.5151"),
    entry<Food101>("food101", 1, "Food-101", "Bossard et al. 2014"),
    entry<DescribableTextures>("dtd", 1, "Describable Textures, 47 classes", "Cimpoi et al. 2014"),
    entry<Caltech101>("caltech101", 1, "Caltech-101", "Fei-Fei et al. 2004"),
    entry<Svhn>("svhn", 1, "Street View House Numbers, cropped digits", "Netzer et al. 2011"),
    entry<Usps>("usps", 1, "USPS digits in HDF5", "Hull 1994"),
    entry<EuroSat>("eurosat", 1, "EuroSAT, RGB", "Helber et al. 2019"),
    entry<PatchCamelyon>("patch-camelyon", 1, "PatchCamelyon, 96 px tissue patches", "Veeling et al. 2018"),
    entry<Resisc45>("resisc45", 1, "NWPU-RESISC45 satellite scenes", "Cheng et al. 2017"),
    entry<RenderedSst2>("rendered-sst2", 1, "Rendered SST-2: sentiment of sentences drawn as images",
                        "Radford et al. 2021"),
    entry<Cifar10v1>("cifar10-1", 1, "CIFAR-10.1, a new test set for CIFAR-10", "Recht et al. 2018, arXiv 1806.00451"),
    entry<CifarC>("cifar-c", 1, "CIFAR-10-C and CIFAR-100-C, corrupted test sets",
                  "Hendrycks and Dietterich 2019, arXiv 1903.12261"),
    entry<DomainNet>("domainnet", 1, "DomainNet, 345 classes in six domains", "Peng et al. 2019"),
    entry<ImageNet>("imagenet", 1, "ImageNet-1K", "Russakovsky et al. 2015"),
    entry<ImageNetV2>("imagenet-v2", 1, "ImageNet-V2, a new test set", "Recht et al. 2019, arXiv 1902.10811"),
    entry<ImageNetSketch>("imagenet-sketch", 1, "ImageNet-Sketch", "Wang et al. 2019, arXiv 1905.13549"),
    entry<ImageNetR>("imagenet-r", 1, "ImageNet-R: renditions, 200 classes", "Hendrycks et al. 2021, arXiv 2006.16241"),
    entry<ImageNetA>("imagenet-a", 1, "ImageNet-A: hard photos, 200 classes",
                     "Hendrycks et al. 2021, arXiv 1907.07174"),
    entry<ObjectNet>("objectnet", 1, "ObjectNet, the 113 classes shared with ImageNet-1K", "Barbu et al. 2019"),
    entry<ImageNetVidRobust>("imagenet-vid-robust", 1, "ImageNet-Vid-Robust: frames of videos, pm-0 and pm-10",
                             "Shankar et al. 2021, arXiv 1906.02168"),
    entry<YtbbRobust>("ytbb-robust", 1, "YTBB-Robust: frames of videos, pm-0 and pm-10",
                      "Shankar et al. 2021, arXiv 1906.02168"));
