#include "attentive_probe.h"
#include "fine_tuning.h"
#include "knn.h"
#include "linear_probe.h"
#include "logistic.h"
#include "ncm.h"
#include "nmtune.h"
#include "ridge.h"

#include <nmlbench/plugin.h>

#define NMLBENCH_PAPER "Chen et al., ICLR 2024, arXiv 2309.17002"
#define NMLBENCH_FOLLOW_UP "Chen et al., arXiv 2403.06869"

NMLBENCH_PLUGINS(
    "nmlbench-tuners", "0.1.0", "Apache-2.0", "",
    nmlbench::entry<nmlbench::plugins::LinearProbe>("linear-probe", 3, "one linear layer on frozen features",
                                                    NMLBENCH_PAPER),
    nmlbench::entry<nmlbench::plugins::Mlp>("mlp", 3, "residual MLP on frozen features, then a linear layer",
                                            NMLBENCH_PAPER),
    nmlbench::entry<nmlbench::plugins::NmTune>(
        "nmtune", 3, "the MLP with consistency, covariance and dominant singular value losses", NMLBENCH_PAPER),
    nmlbench::entry<nmlbench::plugins::Logistic>(
        "logistic", 1, "multinomial logistic regression with L2 penalty, by L-BFGS to its optimum",
        "scikit-learn's LogisticRegression; Oquab et al. 2023, arXiv 2304.07193 (protocol)"),
    nmlbench::entry<nmlbench::plugins::Ridge>(
        "ridge", 1, "ridge regression on one-hot targets, with a penalty or the best by leave-one-out",
        "scikit-learn's RidgeClassifierCV; Golub, Heath & Wahba 1979"),
    nmlbench::entry<nmlbench::plugins::Knn>("knn", 1, "weighted nearest neighbours by cosine similarity",
                                            "Wu et al. 2018, arXiv 1805.01978; Caron et al. 2021, "
                                            "arXiv 2104.14294"),
    nmlbench::entry<nmlbench::plugins::NearestClassMean>("ncm", 1, "nearest class mean", "Mensink et al. 2013"),
    nmlbench::entry<nmlbench::plugins::AttentiveProbe>(
        "attentive-probe", 1, "a learned query attends over tokens (pooling = \"tokens\"), then a linear layer",
        "El-Nouby et al., ICML 2024, arXiv 2401.08541"),
    nmlbench::entry<nmlbench::plugins::FullFineTune>("full-finetune", 1,
                                                     "moves all weights of the encoder, with a linear head",
                                                     NMLBENCH_FOLLOW_UP),
    nmlbench::entry<nmlbench::plugins::LpFt>("lp-ft", 1, "a linear probe, then all weights of the encoder from there",
                                             "Kumar et al., ICLR 2022, arXiv 2202.10054"),
    nmlbench::entry<nmlbench::plugins::WiseFt>(
        "wise-ft", 1, "weights between the untouched encoder with its linear probe and the tuned one",
        "Wortsman et al., CVPR 2022, arXiv 2109.01903"),
    nmlbench::entry<nmlbench::plugins::BitFit>("bitfit", 1, "moves the biases of the encoder alone",
                                               "Ben Zaken et al., ACL 2022, arXiv 2106.10199"),
    nmlbench::entry<nmlbench::plugins::Lora>(
        "lora", 1, "moves weights of the encoder by updates of low rank, merged for evaluation",
        "Hu et al., ICLR 2022, arXiv 2106.09685; on MLP blocks: " NMLBENCH_FOLLOW_UP));
