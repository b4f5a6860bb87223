// The collections as plugins, one for each data set.
#include "fine_grained.h"
#include "imagenet.h"
#include "other_tasks.h"
#include "video_frames.h"

using namespace nmlbench::plugins;

NMLBENCH_PLUGINS("nmlbench-collections", "0.1.0", "Apache-2.0", "", collection<kFlowers102>(),
                 collection<kOxfordPets>(), collection<kStanfordCars>(), collection<kFgvcAircraft>(),
                 collection<kFood101>(), collection<kDtd>(), collection<kCaltech101>(), collection<kSvhn>(),
                 collection<kUsps>(), collection<kEuroSat>(), collection<kPatchCamelyon>(), collection<kResisc45>(),
                 collection<kRenderedSst2>(), collection<kCifar10v1>(), collection<kCifarC>(), collection<kDomainNet>(),
                 collection<kImageNet>(), collection<kImageNetV2>(), collection<kImageNetSketch>(),
                 collection<kImageNetR>(), collection<kImageNetA>(), collection<kObjectNet>(),
                 collection<kImageNetVidRobust>(), collection<kYtbbRobust>());
