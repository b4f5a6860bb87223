#include "support/mapped_file.h"

#include <nmlbench/error.h>

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nmlbench {

MappedFile::MappedFile(const std::filesystem::path& file) {
  const auto fail = [&](const std::string& message) { throw DataError(file.string() + ": " + message); };
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block
  if (descriptor < 0) fail(std::string("cannot be opened: ") + std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  size_ = regular ? static_cast<std::uint64_t>(status.st_size) : 0;
  void* data = size_ > 0 ? ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0) : MAP_FAILED;
  ::close(descriptor);
  if (!regular) fail("is not a file");
  if (size_ == 0) fail("the file is empty");
  if (data == MAP_FAILED) fail(std::string("cannot be mapped: ") + std::strerror(errno));
  data_ = static_cast<std::uint8_t*>(data);
}

MappedFile::~MappedFile() {
  ::munmap(data_, size_);
}

}  // namespace nmlbench
