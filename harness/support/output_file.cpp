#include "support/output_file.h"

#include <nmlbench/error.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <utility>

#include <unistd.h>

namespace nmlbench {

namespace fs = std::filesystem;

namespace {

fs::path place_to_write(const fs::path& file) {
  std::error_code ignored;
  const fs::file_status status = fs::symlink_status(file, ignored);
  const bool itself = fs::exists(status) && !fs::is_regular_file(status);
  static std::atomic<int> counter{0};
  const std::string unique = std::to_string(::getpid()) + "." + std::to_string(counter++);
  return itself ? file : fs::path(file.string() + "." + unique + ".partial");
}

}  // namespace

OutputFile::OutputFile(fs::path file) : file_(std::move(file)), written_(place_to_write(file_)) {
  stream_.reset(std::fopen(written_.c_str(), "wb"));
  if (!stream_) fail("create", errno);
}

OutputFile::~OutputFile() {
  std::error_code ignored;
  if (!finished_ && written_ != file_) fs::remove(written_, ignored);
}

void OutputFile::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stream_.get()) != bytes.size()) fail("write", errno);
}

void OutputFile::finish() {
  if (std::fclose(stream_.release()) != 0) fail("write", errno);
  std::error_code error;
  if (written_ != file_) fs::rename(written_, file_, error);
  if (error) fail("write", error.value());
  finished_ = true;
}

void OutputFile::fail(const char* action, int code) {
  throw SystemError(file_.string(), action, code, code == ENOENT ? "create its folder first" : "write it elsewhere");
}

void write_output(const fs::path& file, std::string_view bytes) {
  OutputFile output(file);
  output.write(bytes);
  output.finish();
}

}  // namespace nmlbench
