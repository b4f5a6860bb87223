// Writes tensors in the safetensors format, right ones and wrong ones.
#pragma once

#include <string>

#include <torch/types.h>

namespace nmlbench::testing {

class SafetensorsFile {
 public:
  // `type` as the format has it: "F32".
  void add(const std::string& name, const torch::Tensor& tensor, const std::string& type = "F32") {
    const torch::Tensor dense = tensor.detach().contiguous();
    std::string entry = header_.empty() ? "{\"" : ",\"";
    entry.append(name).append("\":{\"dtype\":\"").append(type).append("\",\"shape\":[");
    for (std::int64_t i = 0; i < dense.dim(); ++i) {
      entry.append(i > 0 ? "," : "").append(std::to_string(dense.size(i)));
    }
    entry.append("],\"data_offsets\":[").append(std::to_string(data_.size()));
    data_.append(static_cast<const char*>(dense.data_ptr()), dense.nbytes());
    header_.append(entry).append(",").append(std::to_string(data_.size())).append("]}");
  }
  std::string header() const { return header_ + "}"; }
  std::string bytes() const { return with_header(header()); }
  std::string with_header(const std::string& header) const {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
    return bytes + header + data_;
  }

 private:
  std::string header_, data_;
};

}  // namespace nmlbench::testing
