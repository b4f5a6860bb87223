// Errors that plugins throw. The harness catches them in one place and turns each into one line for the user.
#pragma once

#include <stdexcept>
#include <string>

#if defined(_WIN32)
#error "nmlbench supports Linux and macOS"
#endif
#define NMLBENCH_EXPORT __attribute__((visibility("default")))

namespace nmlbench {

// Something a user can mend: the text says what is wrong, where, and what to do.
class NMLBENCH_EXPORT Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what);
  ~Error() override;  // out of line: anchors the type_info in one library, so a catch works across plugins
};

// A dataset that is missing, truncated, malformed or inconsistent. Names the file.
class NMLBENCH_EXPORT DataError : public Error {
 public:
  explicit DataError(const std::string& what);
  ~DataError() override;
};

// The user asked to stop (Ctrl-C). Thrown by Context::check_stop; never swallow it.
class NMLBENCH_EXPORT Interrupted : public Error {
 public:
  Interrupted();
  ~Interrupted() override;
};

}  // namespace nmlbench
