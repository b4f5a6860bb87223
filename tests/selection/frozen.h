// Frozen features on disk and matrices that choose from grids on them.
#pragma once

#include "plan/plan.h"
#include "registry/inspector.h"
#include "support/npy.h"
#include "support/plugins.h"
#include "support/tuning.h"

#include <string>

namespace nmlbench::testing {

// Four blobs that overlap, so that candidates differ: 120 rows to train on, 80 to test on, in 16 columns.
struct FrozenBlobs {
  Blobs train, test;

  explicit FrozenBlobs(const Scratch& scratch) {
    const Blobs all = make_blobs(1, 200, 16, 4, 2.5);
    train = {all.x.slice(0, 0, 120).clone(), all.y.slice(0, 0, 120).clone()};
    test = {all.x.slice(0, 120).clone(), all.y.slice(0, 120).clone()};
    scratch.write("x.npy", npy_bytes(train.x, "<f4"));
    scratch.write("y.npy", npy_bytes(train.y, "<i8"));
    scratch.write("test_x.npy", npy_bytes(test.x, "<f4"));
    scratch.write("test_y.npy", npy_bytes(test.y, "<i8"));
  }
};

inline constexpr const char* kGrids = R"(
[matrix]
name = "grids"
seeds = [0, 1]

[[pretrain]]
encoder = { plugin = "identity" }

[[task]]
name  = "blobs"
train = { plugin = "features", x = "x.npy", y = "y.npy" }
fraction = [0.5, 1.0]
[[task.test]]
kind = "id"
data = { plugin = "features", x = "test_x.npy", y = "test_y.npy" }

[selection]
over = ["lr", "weight_decay", "epochs"]

[[tuner]]
plugin = "linear-probe"
epochs = 4
lr = [0.001, 0.01, 0.1]
weight_decay = [0, 0.1]

[[tuner]]
plugin = "mlp"
epochs = [1, 3]
lr = [0.001, 0.03]

[[tuner]]
plugin = "nmtune"
epochs = 2
)";

inline Plan plan_of_file(const std::filesystem::path& matrix, const std::vector<std::string>& set = {}) {
  return make_plan(read_matrix(read_source(matrix, set)), bundled(), PluginInspector());
}

// What planning says to a mistake.
inline std::string refusal(const std::filesystem::path& matrix, const std::vector<std::string>& set = {}) {
  try {
    plan_of_file(matrix, set);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace nmlbench::testing
