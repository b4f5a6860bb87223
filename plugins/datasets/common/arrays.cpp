#include "arrays.h"

#include <nmlbench/dense.h>
#include <nmlbench/error.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert(std::endian::native == std::endian::little, "arrays in files are little-endian");

namespace nmlbench::plugins {
namespace {

constexpr std::size_t kLongestDescription = 500;  // std::regex recurses once for each character
constexpr std::uint64_t kLargestHeader = std::uint64_t{100} << 20;

[[noreturn]] void fail_at(const std::filesystem::path& file, const std::string& message) {
  throw DataError(file.string() + ": " + message);
}

// A file mapped read-only for as long as a tensor uses it.
class Mapping {
 public:
  explicit Mapping(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
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
    fail_at(file, "has elements of type " + descr + "; float16, float32, float64, uint8 and int8 to int64 can be read");
  }
  return found->second;
}

std::vector<std::int64_t> npy_shape(const std::filesystem::path& file, const std::string& text) {
  std::vector<std::int64_t> sizes;
  static const std::regex number("[0-9]+");
  for (std::sregex_iterator it(text.begin(), text.end(), number), end; it != end; ++it) {
    if (it->length() > 15) fail_at(file, "its header has an impossible shape: (" + text + ")");
    sizes.push_back(std::stoll(it->str()));
  }
  return sizes;
}

}  // namespace

torch::Tensor read_npy(const std::filesystem::path& file) {
  const auto mapping = std::make_shared<Mapping>(file);
  if (mapping->size() < 12 || mapping->text(0, 6) != "\x93NUMPY") fail_at(file, "is no .npy file");
  const int version = mapping->data()[6];
  if (version < 1 || version > 3) fail_at(file, "is an .npy file of the unknown version " + std::to_string(version));
  const int length_bytes = version == 1 ? 2 : 4;
  const std::uint64_t begin = 8 + static_cast<std::uint64_t>(length_bytes);
  const std::uint64_t length = little_endian(mapping->data() + 8, length_bytes);
  if (length > kLargestHeader || begin + length > mapping->size()) fail_at(file, "the file is truncated in its header");

  std::string header = mapping->text(begin, length);
  header.erase(header.find_last_not_of(" \n") + 1);  // padding
  if (header.size() > kLongestDescription) fail_at(file, "its header is not what NumPy writes");
  static const std::regex pattern(
      R"(^\{\s*'descr':\s*'([^']*)',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([0-9, ]*)\),?\s*\}$)");
  std::smatch match;
  if (!std::regex_match(header, match, pattern)) fail_at(file, "its header is not what NumPy writes");
  const torch::ScalarType type = npy_type(file, match[1]);
  std::vector<std::int64_t> sizes = npy_shape(file, match[3]);
  const auto count = element_count(sizes);
  const std::uint64_t available = mapping->size() - begin - length;
  if (!count || *count > available / c10::elementSize(type)) {
    fail_at(file, "the file is truncated: its header says (" + match[3].str() + ") and " + std::to_string(available) +
                      " bytes follow");
  }
  const std::uint64_t bytes = *count * c10::elementSize(type);
  if (bytes != available) fail_at(file, "the file is longer than its header says");
  if (match[2] == "False") return tensor_at(mapping, begin + length, bytes, sizes, type);
  std::reverse(sizes.begin(), sizes.end());
  const torch::Tensor columns = tensor_at(mapping, begin + length, bytes, sizes, type);
  return columns.permute([&] {
    std::vector<std::int64_t> order;
    for (std::int64_t i = columns.dim() - 1; i >= 0; --i) order.push_back(i);
    return order;
  }());
}

torch::Tensor read_safetensors(const std::filesystem::path& file, const std::string& name) {
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
  if (!header.contains(name)) {
    std::string names;
    for (const auto& [key, value] : header.items()) names += (names.empty() ? "" : ", ") + key;
    fail_at(file, "has no tensor \"" + name + "\"; it has " + names);
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
