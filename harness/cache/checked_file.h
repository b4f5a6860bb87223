// Reading files of the cache, which may have changed on the disk since they were written.
#pragma once

#include <nmlbench/error.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include <sys/stat.h>

namespace nmlbench {

// A file, or a whole artifact, is not what was written: missing, cut short, changed, from an earlier version. What it
// says names the file. It is to be thrown away, unlike a file that cannot be opened for some passing reason.
class DamagedFile : public Error {
 public:
  DamagedFile(const std::filesystem::path& file, const std::string& why) : Error(file.string() + ": " + why) {}
};

// An open file of the cache. Its functions throw DamagedFile when there is no such file or its disk cannot read it,
// Error when it cannot be read for a passing reason.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& file);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::uintmax_t size() const { return static_cast<std::uintmax_t>(status_.st_size); }
  const struct stat& status() const { return status_; }
  // How many of the `bytes` from `at` on there are.
  std::size_t read(char* out, std::size_t bytes, std::uintmax_t at) const;

 private:
  [[noreturn]] void fail() const;

  std::filesystem::path file_;
  int descriptor_;
  struct stat status_ {};
};

// Throws as InputFile does.
std::string read_file(const std::filesystem::path& file);

// What a file is known by.
struct FileSum {
  std::uintmax_t bytes = 0;
  std::string digest;  // of the bytes; see nmlbench/digest.h

  bool operator==(const FileSum&) const = default;
};

// Reads a file once for each of its states: fifty readers of 1 GB of features hash it once. [any-thread]
class FileSums {
 public:
  // Throws as InputFile does.
  FileSum of(const std::filesystem::path& file);

 private:
  using State = std::array<std::int64_t, 7>;

  std::mutex mutex_;
  std::map<State, std::string> known_;
};

}  // namespace nmlbench
