#include "linear_probe.h"
#include "nmtune.h"

#include <nmlbench/plugin.h>

#define NMLBENCH_PAPER "Chen et al., ICLR 2024, arXiv 2309.17002"

NMLBENCH_PLUGINS("nmlbench-tuners", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::LinearProbe>("linear-probe", 3,
                                                                 "one linear layer on frozen features", NMLBENCH_PAPER),
                 nmlbench::entry<nmlbench::plugins::Mlp>("mlp", 3,
                                                         "residual MLP on frozen features, then a linear layer",
                                                         NMLBENCH_PAPER),
                 nmlbench::entry<nmlbench::plugins::NmTune>(
                     "nmtune", 3, "the MLP with consistency, covariance and dominant singular value losses",
                     NMLBENCH_PAPER));
