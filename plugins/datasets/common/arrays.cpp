#include "arrays.h"

#include "models/weights/tensor_of.h"
#include "support/mapped_file.h"
#include "support/safetensors.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

static_assert(std::endian::native == std::endian::little, "arrays in files are little-endian");

namespace nmlbench::plugins {
namespace {

constexpr std::uint64_t kLargestHeader = std::uint64_t{100} << 20;

[[noreturn]] void fail_at(const std::filesystem::path& file, const std::string& message) {
  throw DataError(file.string() + ": " + message);
}

ElementType npy_type(const std::filesystem::path& file, const std::string& descr) {
  static const std::map<std::string, ElementType> types = {
      {"<f2", ElementType::f16}, {"<f4", ElementType::f32}, {"<f8", ElementType::f64}, {"|u1", ElementType::u8},
      {"|i1", ElementType::i8},  {"<i2", ElementType::i16}, {"<i4", ElementType::i32}, {"<i8", ElementType::i64}};
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
  const auto mapping = std::make_shared<MappedFile>(file);
  if (mapping->size() >= 12 && mapping->text(0, 4) == "PK\3\4") {
    fail_at(file, "is a zip file, as np.savez writes (.npz); save the one array with np.save");
  }
  if (mapping->size() < 12 || mapping->text(0, 6) != "\x93NUMPY") fail_at(file, "is no .npy file");
  const int version = mapping->data()[6];
  if (version < 1 || version > 3) fail_at(file, "is an .npy file of the unknown version " + std::to_string(version));
  const int length_bytes = version == 1 ? 2 : 4;
  const std::uint64_t begin = 8 + static_cast<std::uint64_t>(length_bytes);
  const std::uint64_t length = mapping->number(8, length_bytes);
  if (length > kLargestHeader || begin + length > mapping->size()) fail_at(file, "the file is truncated in its header");

  std::string header = mapping->text(begin, length);
  header.erase(header.find_last_not_of(" \n") + 1);  // padding
  const NpyHeader description = npy_header(file, header);
  const ElementType type = npy_type(file, description.descr);
  std::vector<std::int64_t> sizes = description.sizes;
  const auto count = element_count(sizes);
  const std::uint64_t available = mapping->size() - begin - length;
  if (!count || *count > available / element_bytes(type)) {
    fail_at(file, "the file is truncated: its header says (" + description.shape + ") and " +
                      std::to_string(available) + " bytes follow");
  }
  const std::uint64_t bytes = *count * element_bytes(type);
  if (bytes != available) fail_at(file, "the file is longer than its header says");
  const auto array = [&] {
    const auto* first = reinterpret_cast<const std::byte*>(mapping->data()) + begin + length;
    return tensor_of({"", type, sizes, contiguous_strides(sizes), std::shared_ptr<const std::byte>(mapping, first)});
  };
  if (!description.fortran) return array();
  std::reverse(sizes.begin(), sizes.end());
  const torch::Tensor columns = array();
  return columns.permute([&] {
    std::vector<std::int64_t> order;
    for (std::int64_t i = columns.dim() - 1; i >= 0; --i) order.push_back(i);
    return order;
  }());
}

torch::Tensor read_safetensors(const std::filesystem::path& file, const std::string& name, const std::string& chooser) {
  std::string names;
  for (const StoredTensor& tensor : read_safetensors_file(file)) {
    if (tensor.name == name) return tensor_of(tensor);
    names += (names.empty() ? "" : ", ") + tensor.name;
  }
  fail_at(file, "has no tensor \"" + name + "\"; it has " + (names.empty() ? "none" : names) + "; `" + chooser +
                    "` says which is taken");
}

}  // namespace nmlbench::plugins
