#include "symmetric.h"

#include <nmlbench/plugin.h>

NMLBENCH_PLUGINS("nmlbench-noise", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Clean>("clean", 1, "targets as they are", ""),
                 nmlbench::entry<nmlbench::plugins::Symmetric>(
                     "symmetric", 1, "a fraction of the labels of each class is replaced uniformly",
                     "Chen et al., ICLR 2024, arXiv 2309.17002, section 2.1"));
