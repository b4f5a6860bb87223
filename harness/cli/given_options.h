// The options that the user gave, to be given to another process of this program.
#pragma once

#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace nmlbench::cli {

// Of a verb and of the program, whether they came from the command line or the environment: what has no name first,
// then
// "--db=a.sqlite". `except`: names, without dashes.
std::vector<std::string> given_options(const CLI::App& verb, const std::set<std::string>& except);

}  // namespace nmlbench::cli
