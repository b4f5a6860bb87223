// Writes and reads .npy files in tests, independently of the program's own code.
#pragma once

#include "support/scratch.h"

#include <nmlbench/torch.h>

#include <cstring>
#include <sstream>

namespace nmlbench::testing {

inline std::string npy_bytes(const torch::Tensor& tensor, const std::string& descr, bool fortran = false) {
  std::ostringstream header;
  header << "{'descr': '" << descr << "', 'fortran_order': " << (fortran ? "True" : "False") << ", 'shape': (";
  for (const std::int64_t size : tensor.sizes()) header << size << ",";
  header << "), }";
  std::string text = header.str();
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  const torch::Tensor data = (fortran ? tensor.t() : tensor).contiguous();
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(text.size() & 0xFF);
  bytes += static_cast<char>(text.size() >> 8);
  bytes += text;
  bytes.append(static_cast<const char*>(data.data_ptr()), data.nbytes());
  return bytes;
}

// The array of a file that the program wrote: float32 or int64, C order.
inline torch::Tensor read_npy_file(const std::filesystem::path& file) {
  const std::string bytes = read_text(file);
  const std::size_t length = static_cast<unsigned char>(bytes[8]) + 256U * static_cast<unsigned char>(bytes[9]);
  const std::string header = bytes.substr(10, length);
  std::vector<std::int64_t> sizes;
  std::istringstream shape(header.substr(header.find('(') + 1));
  for (std::int64_t size = 0; shape >> size;) {
    sizes.push_back(size);
    shape.ignore(1);
  }
  const auto type = header.find("<i8") != std::string::npos ? torch::kInt64 : torch::kFloat32;
  torch::Tensor tensor = torch::empty(sizes, type);
  std::memcpy(tensor.data_ptr(), bytes.data() + 10 + length, tensor.nbytes());
  return tensor;
}

}  // namespace nmlbench::testing
