// The test samples that noise broke, as a table and, where the command line hands them in, as pictures. Internal to
// results/.
#pragma once

#include "results/report/report.h"

#include <string>

namespace nmlbench {

// The section as HTML.
std::string broken_samples_section(const Store& store, const PictureSource& pictures);

}  // namespace nmlbench
