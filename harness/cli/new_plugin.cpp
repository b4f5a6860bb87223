#include "cli/cli.h"

namespace nmlbench::cli {

void add_new_plugin(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
