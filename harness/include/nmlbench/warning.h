// Warnings of code that has no Context: data sets, and whatever else a plugin does outside a stage.
#pragma once

#include <nmlbench/error.h>

#include <functional>
#include <string>

namespace nmlbench {

// Tells the user of something that costs time or was left out: on the terminal and in the run's log. The same text is
// said once in a process. [any-thread]
NMLBENCH_EXPORT void warn_once(const std::string& text);

// For the harness: where warnings go from now on. Until then they go to standard error.
NMLBENCH_EXPORT void set_warning_sink(std::function<void(const std::string&)> sink);

}  // namespace nmlbench
