#include "cli/cli.h"

namespace nmlbench::cli {

void add_features(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
