#include "asymmetric.h"
#include "captions.h"
#include "human.h"
#include "instance.h"
#include "long_tail.h"
#include "similarity.h"
#include "symmetric.h"
#include "web.h"

#include <nmlbench/plugin.h>

using nmlbench::entry;
namespace plugins = nmlbench::plugins;

NMLBENCH_PLUGINS(
    "nmlbench-noise", "0.2.0", "Apache-2.0", "", entry<plugins::Clean>("clean", 1, "targets as they are", ""),
    entry<plugins::Symmetric>("symmetric", 1, "a fraction of the labels of each class is replaced uniformly",
                              "Chen et al., ICLR 2024, arXiv 2309.17002, section 2.1"),
    entry<plugins::Asymmetric>("asymmetric", 2, "labels go where the class says: pair, superclass, map or a matrix",
                               "Han et al., NeurIPS 2018, arXiv 1804.06872 (pair); Patrini et al., CVPR 2017, arXiv "
                               "1609.03683 (map, superclass, matrix)"),
    entry<plugins::InstanceDependent>("instance", 1, "labels go where the sample's looks say",
                                      "Xia et al., NeurIPS 2020, arXiv 2006.07836, Algorithm 2"),
    entry<plugins::Similarity>("similarity", 2, "labels go to classes that an encoder confuses",
                               "after Algan and Ulusoy, arXiv 2003.10471"),
    entry<plugins::HumanLabels>("human", 1, "labels that people gave, from a file",
                                "CIFAR-N: Wei et al., ICLR 2022, arXiv 2110.12088"),
    entry<plugins::CaptionSwap>("caption-swap", 1, "captions of a fraction of the image-text pairs are permuted",
                                "Chen et al., ICLR 2024, arXiv 2309.17002, section 2.1"),
    entry<plugins::CaptionDrop>("caption-drop", 1, "a fraction of the images loses its caption", ""),
    entry<plugins::Web>("web", 1, "open-set: images are replaced by those of `source = { plugin = ... }`",
                        "Wang et al., CVPR 2018, arXiv 1804.00092; Jiang et al., ICML 2020, arXiv 1911.09781"),
    entry<plugins::LongTail>("long-tail", 1, "class imbalance: samples of rare classes are dropped",
                             "Cui et al., CVPR 2019, arXiv 1901.05555; step: Buda et al., arXiv 1710.05381"));
