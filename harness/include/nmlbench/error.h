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

// The machine failed rather than the input: no space, no memory, too many open files, a disk's error. The same command
// tries again later, where is_transient(code()). The text has the system's reason and what to do.
class NMLBENCH_EXPORT SystemError : public Error {
 public:
  // `action`: "write", "create". `advice`: what can be done beside what the code itself suggests; may be empty.
  SystemError(const std::string& file, const std::string& action, int code, const std::string& advice = "");
  ~SystemError() override;
  int code() const { return code_; }  // errno

 private:
  int code_;
};

// Whether a call that failed with this errno may succeed at another time, with nothing changed in what was asked.
NMLBENCH_EXPORT bool is_transient(int code);
// Whether a text gives such a reason in the system's words, as other libraries' messages do, or in torch::save's.
NMLBENCH_EXPORT bool names_transient_reason(const std::string& text);

// The user asked to stop (Ctrl-C). Thrown by Context::check_stop; never swallow it.
class NMLBENCH_EXPORT Interrupted : public Error {
 public:
  Interrupted();
  ~Interrupted() override;
};

}  // namespace nmlbench
