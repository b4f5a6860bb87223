#include "support/safetensors.h"

#include "support/mapped_file.h"
#include "support/text_file.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

static_assert(std::endian::native == std::endian::little, "tensors in files are little-endian");

namespace nmlbench {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLargestHeader = std::uint64_t{32} << 20;  // that of 10,000 tensors has about 1 MiB
constexpr int kDeepestHeader = 8;

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& message) {
  throw DataError(file.string() + ": " + message);
}

// Nesting is bounded, so that brackets alone cannot fill memory.
json parse_flat(const std::string& text) {
  bool deep = false;
  const auto shallow = [&](int depth, json::parse_event_t, json&) {
    deep = deep || depth > kDeepestHeader;
    return !deep;
  };
  json parsed = json::parse(text, shallow, /*allow_exceptions=*/false);
  return deep ? json() : parsed;
}

constexpr std::pair<std::string_view, ElementType> kTypes[] = {
    {"F16", ElementType::f16}, {"BF16", ElementType::bf16},   {"F32", ElementType::f32}, {"F64", ElementType::f64},
    {"U8", ElementType::u8},   {"I8", ElementType::i8},       {"I16", ElementType::i16}, {"I32", ElementType::i32},
    {"I64", ElementType::i64}, {"BOOL", ElementType::boolean}};

ElementType type_of(const std::filesystem::path& file, const std::string& name, const std::string& type) {
  const auto* found =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](auto& known) { return known.first == type; });
  if (found == std::end(kTypes)) {
    refuse(file, "tensor \"" + name + "\" has the type \"" + type + "\", which cannot be read");
  }
  return found->second;
}

std::string_view name_of(ElementType type) {
  return std::find_if(std::begin(kTypes), std::end(kTypes), [&](auto& known) { return known.second == type; })->first;
}

struct Entry {
  StoredTensor tensor;
  std::uint64_t begin = 0, end = 0;  // after the header
};

Entry entry_of(const std::filesystem::path& file, const std::string& name, const json& description,
               std::uint64_t available) {
  try {
    Entry entry;
    entry.tensor.name = name;
    entry.tensor.type = type_of(file, name, description.at("dtype").get<std::string>());
    entry.tensor.sizes = description.at("shape").get<std::vector<std::int64_t>>();
    const auto offsets = description.at("data_offsets").get<std::vector<std::uint64_t>>();
    const auto count = element_count(entry.tensor.sizes);
    const std::uint64_t bytes = element_bytes(entry.tensor.type);
    if (offsets.size() != 2 || offsets[0] > offsets[1] || !count || *count > available / bytes ||
        *count * bytes != offsets[1] - offsets[0] || offsets[1] > available) {
      refuse(file, "tensor \"" + name + "\" does not fit: the file is truncated or its header wrong");
    }
    entry.tensor.strides = contiguous_strides(entry.tensor.sizes);
    entry.begin = offsets[0];
    entry.end = offsets[1];
    return entry;
  } catch (const json::exception&) {
    refuse(file, "the header entry of tensor \"" + name + "\" is malformed");
  }
}

// Every byte belongs to one tensor, as the format demands.
void require_packed(const std::filesystem::path& file, const std::vector<Entry>& entries, std::uint64_t available) {
  std::uint64_t end = 0;
  const Entry* last = nullptr;
  for (const Entry& entry : entries) {
    if (entry.begin < end) {
      refuse(file,
             "tensors \"" + last->tensor.name + "\" and \"" + entry.tensor.name + "\" overlap; the header is wrong");
    }
    if (entry.begin > end) refuse(file, "no tensor has the bytes before \"" + entry.tensor.name + "\"");
    end = entry.end;
    last = &entry;
  }
  if (end != available) refuse(file, "the file is longer than its header says");
}

}  // namespace

std::vector<StoredTensor> read_safetensors_file(const std::filesystem::path& file) {
  const auto mapping = std::make_shared<MappedFile>(file);
  if (mapping->size() < 10) refuse(file, "is no .safetensors file");
  const std::uint64_t length = mapping->number(0, 8);
  if (length > mapping->size() - 8) refuse(file, "the file is truncated in its header, or no .safetensors file");
  if (length > kLargestHeader) refuse(file, "its header has " + std::to_string(length) + " bytes; 32 MiB are read");
  const json header = parse_flat(mapping->text(8, length));
  if (!header.is_object()) refuse(file, "its header is no JSON object");
  const std::uint64_t available = mapping->size() - 8 - length;
  std::vector<Entry> entries;
  for (const auto& [name, description] : header.items()) {
    if (name != "__metadata__") entries.push_back(entry_of(file, name, description, available));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.tensor.name) < std::tie(b.begin, b.end, b.tensor.name);
  });
  require_packed(file, entries, available);
  std::vector<StoredTensor> tensors;
  for (Entry& entry : entries) {
    const auto* first = reinterpret_cast<const std::byte*>(mapping->data()) + 8 + length + entry.begin;
    entry.tensor.data = std::shared_ptr<const std::byte>(mapping, first);
    tensors.push_back(std::move(entry.tensor));
  }
  return tensors;
}

std::string safetensors_bytes(std::vector<StoredTensor> tensors, const std::map<std::string, std::string>& metadata) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return element_bytes(a.type) > element_bytes(b.type);
  });
  const auto bytes_of = [](const StoredTensor& tensor) {
    return element_count(tensor.sizes).value() * element_bytes(tensor.type);
  };
  json header = json::object();
  header["__metadata__"] = metadata;
  std::uint64_t end = 0;
  for (const StoredTensor& tensor : tensors) {
    const std::uint64_t begin = std::exchange(end, end + bytes_of(tensor));
    header[tensor.name] = {{"dtype", name_of(tensor.type)}, {"shape", tensor.sizes}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string bytes;
  bytes.reserve(8 + text.size() + end);
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(text.size() >> (8 * i) & 0xFF);
  bytes += text;
  for (const StoredTensor& tensor : tensors) {
    bytes.append(reinterpret_cast<const char*>(tensor.data.get()), bytes_of(tensor));
  }
  return bytes;
}

std::vector<std::filesystem::path> shards_of_index(const std::filesystem::path& index) {
  const json content = parse_flat(read_text(index, kLargestHeader));
  if (!content.is_object() || !content.contains("weight_map") || !content["weight_map"].is_object() ||
      content["weight_map"].empty()) {
    refuse(index, "is no index of shards: it has no \"weight_map\" from tensors to files");
  }
  std::set<std::filesystem::path> shards;
  for (const auto& [tensor, shard] : content["weight_map"].items()) {
    const std::filesystem::path name = shard.is_string() ? shard.get<std::string>() : "";
    if (name.empty() || name != name.filename()) {
      refuse(index, "the file of tensor \"" + tensor + "\" is " + shard.dump() + "; shards lie beside their index");
    }
    shards.insert(index.parent_path() / name);
  }
  return {shards.begin(), shards.end()};
}

}  // namespace nmlbench
