// What the harness and its plugins share of LibTorch: tensors, modules and their archives. All of <torch/torch.h> would
// triple the time to compile; who builds layers, differentiates or optimises includes <torch/nn.h>,
// <torch/autograd.h> or <torch/optim.h> beside it.
//
// Every LibTorch from 1.13 (Debian 12) to the newest must work. A call that exists in some versions only
// belongs in compat.h, with its fallback beside it.
#pragma once

#include <torch/cuda.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>
