// Files that a verb writes where the user says (-o FILE).
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

namespace nmlbench {

// A file that is there under its name only when it is whole: what is written goes into "FILE.PID.N.partial" first. A
// pipe, a device or what a symbolic link leads to (/dev/stdout) is written itself. Every failure is a SystemError with
// the system's reason.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path file);
  ~OutputFile();  // without finish(): removes what was written
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view bytes);
  void finish();

 private:
  [[noreturn]] void fail(const char* action, int code);

  struct Close {
    void operator()(std::FILE* stream) const { std::fclose(stream); }
  };
  std::filesystem::path file_, written_;  // the same where it is written itself
  std::unique_ptr<std::FILE, Close> stream_;
  bool finished_ = false;
};

// The whole file in one call.
void write_output(const std::filesystem::path& file, std::string_view bytes);

}  // namespace nmlbench
