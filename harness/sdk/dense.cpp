#include <nmlbench/dense.h>

#include <sstream>
#include <string_view>

namespace nmlbench {

void refuse_layout(const torch::Tensor& tensor, const char* wanted, const std::source_location& caller) {
  std::ostringstream text;
  const std::string_view path = caller.file_name();
  text << "bug at " << path.substr(path.rfind('/') + 1) << ":" << caller.line()
       << ": needs a contiguous tensor on the CPU of type " << wanted << ", got ";
  if (tensor.defined()) {
    text << tensor.scalar_type() << " " << tensor.sizes() << " with strides " << tensor.strides() << " on "
         << tensor.device();
  } else {
    text << "an undefined one";
  }
  throw Error(text.str());
}

}  // namespace nmlbench
