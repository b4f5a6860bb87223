// Scripts that check the program from outside.
#pragma once

#include <cstdlib>
#include <string>

namespace nmlbench::testing {

// A Python that imports these modules, or "".
inline std::string python_with(const std::string& modules) {
  for (const std::string python : {"python3", "/usr/bin/python3"}) {
    if (std::system((python + " -c 'import " + modules + "' 2>/dev/null").c_str()) == 0) return python;
  }
  return "";
}

}  // namespace nmlbench::testing
