// Text from elsewhere (names of files, plugins, results) on its way to a terminal.
#pragma once

#include <nmlbench/error.h>

#include <string>
#include <string_view>

namespace nmlbench {

// One line of UTF-8 in which nothing steers a terminal: control characters, invisible characters, those that turn the
// direction of writing, and bytes that are no UTF-8 become \n, \t or \xNN.
NMLBENCH_EXPORT std::string printable(std::string_view text);

}  // namespace nmlbench
