// Sentences that stand for classes: the `zero_shot` table of a [[pretrain]] section, for encoders that learn from
// captions.
#pragma once

#include "config/matrix_spec.h"

#include <nmlbench/params.h>

#include <string>
#include <vector>

namespace nmlbench {

inline constexpr ParamSpec kZeroShotParams[] = {
    texts("prompts", "a photo of a {}.", "sentences about a class, {} stands for its name"),
    path("prompt_file", "", "text file with a sentence a line, instead of `prompts`"),
    path("class_names", "",
         "text file with the name of a class a line, in the order of labels; \"\": the names that the data have"),
};

struct ZeroShot {
  std::vector<std::string> prompts;      // with {} for the name, at least one
  std::vector<std::string> class_names;  // empty: those of the data
};

// Reads the files, too. Throws ConfigError for the table, DataError for a file.
ZeroShot read_zero_shot(const PluginRef& table);

}  // namespace nmlbench
