// The one place where the harness and its plugins include LibTorch.
//
// Every LibTorch from 1.13 (Debian 12) to the newest must work. A call that exists in some versions only
// belongs in compat.h, with its fallback beside it.
#pragma once

#include <torch/torch.h>
