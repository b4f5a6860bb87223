#include "cli/cli.h"

namespace nmlbench::cli {

void add_plugins(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
