// Reads [stop].
#pragma once

#include "config/matrix_spec.h"
#include "config/toml_table.h"

namespace nmlbench {

// The key of --set that says how many seeds there are by now.
inline constexpr const char* kSeedsReached = "stop.seeds";

// Fills spec.stop and spec.batches, and adds the seeds that stop.seeds asks for behind spec.seeds, which is read
// already. Nothing without [stop]. Throws ConfigError.
void read_stop(TomlTable& root, MatrixSpec& spec);

}  // namespace nmlbench
