#include <nmlbench/error.h>

namespace nmlbench {

Error::Error(const std::string& what) : std::runtime_error(what) {}
Error::~Error() = default;
DataError::DataError(const std::string& what) : Error(what) {}
DataError::~DataError() = default;
Interrupted::Interrupted() : Error("interrupted") {}
Interrupted::~Interrupted() = default;

}  // namespace nmlbench
