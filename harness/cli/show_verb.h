// The verb `show`, which the two programs have in common: only the engine can read samples.
#pragma once

#include "cli/cli.h"
#include "results/boards/sample_quotes.h"
#include "results/store/store.h"

#include <cstddef>
#include <functional>
#include <vector>

namespace nmlbench::cli {

// What the samples say, at most `longest` bytes of each.
using QuoteSamples = std::function<SampleQuotes(const Globals& globals, const Store& store,
                                                const std::vector<SamplePlace>& places, std::size_t longest)>;

// The option that needs the engine (main.cpp).
inline constexpr const char* kTextsOption = "--texts";

// `quote`: empty in the program that cannot read samples.
void add_show_verb(CLI::App& app, Globals& globals, Action& action, const QuoteSamples& quote);

}  // namespace nmlbench::cli
