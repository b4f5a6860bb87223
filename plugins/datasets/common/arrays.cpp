#include "arrays.h"

#include <nmlbench/dense.h>
#include <nmlbench/error.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert(std::endian::native == std::endian::little, "arrays in files are little-endian");

namespace nmlbench::plugins {
namespace {

constexpr std::uint64_t kLargestHeader = std::uint64_t{100} << 20;

[[noreturn]] void fail_at(const std::filesystem::path& file, const std::string& message) {
  throw DataError(file.string() + ": " + message);
}

// A file mapped read-only for as long as a tensor uses it.
class Mapping {
 public:
  explicit Mapping(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block
    if (descriptor < 0) fail_at(file, std::string("cannot be opened: ") + std::strerror(errno));
    struct stat status {};
    const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    size_ = regular ? static_cast<std::uint64_t>(status.st_size) : 0;
    // private and writable: a stray write changes this process' copy, never the file
    void* data = size_ > 0 ? ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0) : MAP_FAILED;
    ::close(descriptor);
    if (!regular) fail_at(file, "is not a file");
    if (size_ == 0) fail_at(file, "the file is empty");
    if (data == MAP_FAILED) fail_at(file, std::string("cannot be mapped: ") + std::strerror(errno));
    data_ = static_cast<std::uint8_t*>(data);
  }
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::uint8_t* data() const { return data_; }
  std::uint64_t size() const { return size_; }
  std::string text(std::uint64_t from, std::uint64_t bytes) const {
    return {reinterpret_cast<const char*>(data_) + from, bytes};
  }

 private:
  std::uint8_t* data_ = nullptr;
  std::uint64_t size_ = 0;
};

// Elements of `sizes`, or nothing when that overflows or a size is negative.
std::optional<std::uint64_t> element_count(const std::vector<std::int64_t>& sizes) {
  std::uint64_t count = 1;
  for (const std::int64_t size : sizes) {
    if (size < 0) return std::nullopt;
    if (__builtin_mul_overflow(count, static_cast<std::uint64_t>(size), &count)) return std::nullopt;
  }
  return count;
}

torch::Tensor tensor_at(const std::shared_ptr<Mapping>& mapping, std::uint64_t offset, std::uint64_t bytes,
                        const std::vector<std::int64_t>& sizes, torch::ScalarType type) {
  std::uint8_t* begin = mapping->data() + offset;
  if (offset % c10::elementSize(type) != 0) {  // not aligned: copy
    torch::Tensor copy = torch::empty(sizes, type);
    std::memcpy(dense_bytes(copy), begin, bytes);
    return copy;
  }
  return torch::from_blob(
      begin, sizes, [mapping](void*) {}, torch::dtype(type));
}

std::uint64_t little_endian(const std::uint8_t* bytes, int count) {
  std::uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

torch::ScalarType npy_type(const std::filesystem::path& file, const std::string& descr) {
  static const std::map<std::string, torch::ScalarType> types = {
      {"<f2", torch::kFloat16}, {"<f4", torch::kFloat32}, {"<f8", torch::kFloat64}, {"|u1", torch::kUInt8},
      {"|i1", torch::kInt8},    {"<i2", torch::kInt16},   {"<i4", torch::kInt32},   {"<i8", torch::kInt64}};
  const auto found = types.find(descr);
  if (found == types.end()) {
    if (descr[0] == '>')
      fail_at(file, "has big-endian elements (" + descr + "); save it with .astype(\"<" + descr.substr(1) + "\")");
    fail_at(file, "has elements of type " + descr + "; float16, float32, float64, uint8 and int8 to int64 can be read");
  }
  return found->second;
}

// What follows the key of a Python dictionary, without blanks before it; nothing when the key is not there.
std::optional<std::string_view> after_key(std::string_view header, const std::string& key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = quote + key + quote;
    const std::size_t at = header.find(quoted);
    if (at == std::string_view::npos) continue;
    const std::size_t colon = header.find_first_not_of(' ', at + quoted.size());
    if (colon == std::string_view::npos || header[colon] != ':') continue;
    const std::size_t value = header.find_first_not_of(' ', colon + 1);
    if (value != std::string_view::npos) return header.substr(value);
  }
  return std::nullopt;
}

struct NpyHeader {
  std::string descr;
  bool fortran = false;
  std::vector<std::int64_t> sizes;
  std::string shape;  // as written
};

// "60, 8"; Python 2 wrote "60L, 8L".
std::vector<std::int64_t> npy_shape(const std::filesystem::path& file, const std::string& text) {
  std::vector<std::int64_t> sizes;
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    item.erase(0, item.find_first_not_of(' '));
    item.erase(item.find_last_not_of(' ') + 1);
    if (!item.empty() && item.back() == 'L') item.pop_back();
    const bool last = items.eof() && item.empty();  // (60,)
    if (last) break;
    if (item.empty() || item.size() > 15 || item.find_first_not_of("0123456789") != std::string::npos) {
      fail_at(file, "its header has an impossible shape: (" + text + ")");
    }
    sizes.push_back(std::stoll(item));
  }
  return sizes;
}

// Keys in any order and either kind of quotes, as NumPy reads them.
NpyHeader npy_header(const std::filesystem::path& file, const std::string& text) {
  if (text.empty() || text.front() != '{' || text.back() != '}') {
    fail_at(file, "its header is no Python dictionary; the file is damaged, or not written by NumPy");
  }
  const auto value = [&](const char* key) {
    const auto found = after_key(text, key);
    if (!found) fail_at(file, "its header has no '" + std::string(key) + "'");
    return *found;
  };
  NpyHeader header;
  const std::string_view descr = value("descr"), order = value("fortran_order"), shape = value("shape");
  if (descr.front() == '[') {
    fail_at(file,
            "is a structured array, with named fields; save one plain array, for example with "
            "numpy.lib.recfunctions.structured_to_unstructured");
  }
  const std::size_t end = descr.find(descr.front(), 1);
  if ((descr.front() != '\'' && descr.front() != '"') || end == std::string_view::npos) {
    fail_at(file, "its header has no element type that can be understood");
  }
  header.descr = descr.substr(1, end - 1);
  header.fortran = order.rfind("True", 0) == 0;
  if (!header.fortran && order.rfind("False", 0) != 0)
    fail_at(file, "its header's fortran_order is neither True nor False");
  const std::size_t close = shape.find(')');
  if (shape.front() != '(' || close == std::string_view::npos) fail_at(file, "its header's shape is no tuple");
  header.shape = shape.substr(1, close - 1);
  header.sizes = npy_shape(file, header.shape);
  return header;
}

}  // namespace

torch::Tensor read_npy(const std::filesystem::path& file) {
  const auto mapping = std::make_shared<Mapping>(file);
  if (mapping->size() >= 12 && mapping->text(0, 4) == "PK\3\4") {
    fail_at(file, "is a zip file, as np.savez writes (.npz); save the one array with np.save");
  }
  if (mapping->size() < 12 || mapping->text(0, 6) != "\x93NUMPY") fail_at(file, "is no .npy file");
  const int version = mapping->data()[6];
  if (version < 1 || version > 3) fail_at(file, "is an .npy file of the unknown version " + std::to_string(version));
  const int length_bytes = version == 1 ? 2 : 4;
  const std::uint64_t begin = 8 + static_cast<std::uint64_t>(length_bytes);
  const std::uint64_t length = little_endian(mapping->data() + 8, length_bytes);
  if (length > kLargestHeader || begin + length > mapping->size()) fail_at(file, "the file is truncated in its header");

  std::string header = mapping->text(begin, length);
  header.erase(header.find_last_not_of(" \n") + 1);  // padding
  const NpyHeader description = npy_header(file, header);
  const torch::ScalarType type = npy_type(file, description.descr);
  std::vector<std::int64_t> sizes = description.sizes;
  const auto count = element_count(sizes);
  const std::uint64_t available = mapping->size() - begin - length;
  if (!count || *count > available / c10::elementSize(type)) {
    fail_at(file, "the file is truncated: its header says (" + description.shape + ") and " +
                      std::to_string(available) + " bytes follow");
  }
  const std::uint64_t bytes = *count * c10::elementSize(type);
  if (bytes != available) fail_at(file, "the file is longer than its header says");
  if (!description.fortran) return tensor_at(mapping, begin + length, bytes, sizes, type);
  std::reverse(sizes.begin(), sizes.end());
  const torch::Tensor columns = tensor_at(mapping, begin + length, bytes, sizes, type);
  return columns.permute([&] {
    std::vector<std::int64_t> order;
    for (std::int64_t i = columns.dim() - 1; i >= 0; --i) order.push_back(i);
    return order;
  }());
}

torch::Tensor read_safetensors(const std::filesystem::path& file, const std::string& name, const std::string& chooser) {
  using nlohmann::json;
  static const std::map<std::string, torch::ScalarType> types = {
      {"F16", torch::kFloat16}, {"BF16", torch::kBFloat16}, {"F32", torch::kFloat32},
      {"F64", torch::kFloat64}, {"U8", torch::kUInt8},      {"I8", torch::kInt8},
      {"I16", torch::kInt16},   {"I32", torch::kInt32},     {"I64", torch::kInt64}};
  const auto mapping = std::make_shared<Mapping>(file);
  if (mapping->size() < 10) fail_at(file, "is no .safetensors file");
  const std::uint64_t length = little_endian(mapping->data(), 8);
  if (length > kLargestHeader || 8 + length > mapping->size())
    fail_at(file, "the file is truncated in its header, or no .safetensors file");
  const json header = json::parse(mapping->text(8, length), nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) fail_at(file, "its header is no JSON object");
  constexpr const char* kMetadata = "__metadata__";  // no tensor
  if (!header.contains(name) || name == kMetadata) {
    std::string names;
    for (const auto& [key, value] : header.items()) {
      if (key != kMetadata) names += (names.empty() ? "" : ", ") + key;
    }
    fail_at(file, "has no tensor \"" + name + "\"; it has " + (names.empty() ? "none" : names) + "; `" + chooser +
                      "` says which is taken");
  }
  try {
    const json& entry = header.at(name);
    const auto type = types.find(entry.at("dtype").get<std::string>());
    if (type == types.end())
      fail_at(file, "tensor \"" + name + "\" has the type " + entry.at("dtype").dump() + ", which cannot be read");
    const auto sizes = entry.at("shape").get<std::vector<std::int64_t>>();
    const auto offsets = entry.at("data_offsets").get<std::vector<std::uint64_t>>();
    const auto count = element_count(sizes);
    const std::uint64_t available = mapping->size() - 8 - length;
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > available || !count || *count > available ||
        *count * c10::elementSize(type->second) != offsets[1] - offsets[0]) {
      fail_at(file, "tensor \"" + name + "\" does not fit: the file is truncated or its header wrong");
    }
    return tensor_at(mapping, 8 + length + offsets[0], offsets[1] - offsets[0], sizes, type->second);
  } catch (const json::exception&) {
    fail_at(file, "the header entry of tensor \"" + name + "\" is malformed");
  }
}

}  // namespace nmlbench::plugins
