// What other libraries call the tensors of a CLIP. Here they are called as open_clip and OpenAI call them.
#pragma once

#include "models/weights/load_weights.h"

namespace nmlbench::plugins {

// Those of transformers. Without the text tower its tensors are left out.
std::vector<Rename> clip_names(bool with_text);

}  // namespace nmlbench::plugins
