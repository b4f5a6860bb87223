#include "cli/cli.h"

namespace nmlbench::cli {

void add_merge(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
