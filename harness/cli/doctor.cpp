#include "cli/cli.h"

namespace nmlbench::cli {

void add_doctor(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
