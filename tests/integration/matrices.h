// Small matrices that run in seconds.
#pragma once

namespace nmlbench::testing {

// Two noise ratios x two seeds, one task with ID and OOD, three tuners: 12 cells.
inline constexpr const char* kTiny = R"(
[matrix]
name = "tiny"
seeds = [0, 1]

[[pretrain]]
encoder = { plugin = "resnet-tiny", width = 4 }
dataset = { plugin = "procedural", split = "pretrain", classes = 4, per_class = 40 }
noise   = { plugin = "symmetric", ratio = [0.0, 0.3] }
optim   = { epochs = 3, batch_size = 32, lr = 0.05 }

[[task]]
name  = "general"
train = { plugin = "procedural", classes = 4, per_class = 80 }
[[task.test]]
kind = "id"
data = { plugin = "procedural", split = "test", classes = 4, per_class = 10 }
[[task.test]]
kind = "ood"
data = { plugin = "procedural", split = "test", classes = 4, per_class = 10, domain = "sketch" }

[[tuner]]
plugin = "linear-probe"
epochs = 5
[[tuner]]
plugin = "mlp"
epochs = 2
[[tuner]]
plugin = "nmtune"
epochs = 2
)";

// Frozen features: x.npy, y.npy, test_x.npy, test_y.npy beside the matrix.
inline constexpr const char* kFrozen = R"(
[matrix]
name = "frozen"
seeds = [0]

[[pretrain]]
encoder = { plugin = "identity" }

[[task]]
name  = "blobs"
train = { plugin = "features", x = "x.npy", y = "y.npy" }
[[task.test]]
kind = "id"
data = { plugin = "features", x = "test_x.npy", y = "test_y.npy" }

[[tuner]]
plugin = "linear-probe"
)";

}  // namespace nmlbench::testing
