#include "support/state_dict.h"

#include "support/mapped_file.h"
#include "support/pickle.h"

#include <nmlbench/error.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include <archive.h>
#include <archive_entry.h>

namespace nmlbench {
namespace {

using pickle::Item;
using pickle::Unpickled;

constexpr std::uint64_t kLargestPickle = std::uint64_t{32} << 20;
constexpr std::size_t kLongestName = 1000, kKeysNamed = 20;

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& message) {
  throw DataError(file.string() + ": " + message);
}

// The bytes of each storage by its key.
struct Bytes {
  std::shared_ptr<const std::byte> data;
  std::uint64_t size = 0;
};
using Storages = std::map<std::string, Bytes>;

const std::string& text_of(const Unpickled& pickle, Item item) {
  static const std::string none;
  const auto* text = pickle.get<std::string>(item);
  return text == nullptr ? none : *text;
}

bool has_tensors(const Unpickled& pickle, Item item) {
  const auto* dictionary = pickle.get<pickle::Dictionary>(item);
  if (dictionary == nullptr) return false;
  for (const auto& [key, value] : dictionary->entries) {
    if (pickle.get<pickle::Tensor>(value) != nullptr) return true;
  }
  return false;
}

// The dictionary of tensors: the whole, or the one under "state_dict" or "model".
const pickle::Dictionary& tensors_of(const Unpickled& pickle, const std::filesystem::path& file) {
  if (has_tensors(pickle, pickle.root)) return *pickle.get<pickle::Dictionary>(pickle.root);
  const auto* outer = pickle.get<pickle::Dictionary>(pickle.root);
  if (outer == nullptr) fail(file, "holds no dictionary of tensors");
  const pickle::Dictionary* found = nullptr;
  std::string keys;
  std::size_t named = 0;
  for (const auto& [key, value] : outer->entries) {
    const std::string& name = text_of(pickle, key);
    if (named++ < kKeysNamed) keys += (keys.empty() ? "" : ", ") + name.substr(0, kLongestName);
    if ((name != "state_dict" && name != "model") || !has_tensors(pickle, value)) continue;
    if (found != nullptr)
      fail(file, "has tensors under \"state_dict\" and under \"model\"; save the one that is meant");
    found = pickle.get<pickle::Dictionary>(value);
  }
  if (found == nullptr) fail(file, "has no tensors under \"state_dict\" or \"model\"; its keys are " + keys);
  return *found;
}

std::vector<StoredTensor> collect(const Unpickled& pickle, const Storages& storages,
                                  const std::filesystem::path& file) {
  std::vector<StoredTensor> tensors;
  for (const auto& [key, value] : tensors_of(pickle, file).entries) {
    const auto* tensor = pickle.get<pickle::Tensor>(value);
    if (tensor == nullptr) continue;  // numbers beside tensors: an epoch, a version
    if (text_of(pickle, key).size() > kLongestName) fail(file, "has a tensor whose name is too long");
    const auto storage = storages.find(tensor->storage.key);
    const std::uint64_t bytes = element_bytes(tensor->storage.type);
    if (storage == storages.end() ||
        static_cast<std::uint64_t>(tensor->storage.elements) > storage->second.size / bytes) {
      fail(file, "the bytes of tensor \"" + text_of(pickle, key) + "\" are missing; the file is truncated");
    }
    const std::byte* first = storage->second.data.get() + static_cast<std::uint64_t>(tensor->offset) * bytes;
    tensors.push_back({text_of(pickle, key), tensor->storage.type, tensor->sizes, tensor->strides,
                       std::shared_ptr<const std::byte>(storage->second.data, first)});
  }
  return tensors;
}

struct CloseArchive {
  void operator()(archive* open) const { archive_read_free(open); }
};

// Calls `visit` with the name of each entry behind its first folder ("archive/data/7" -> "data/7"), its size, and what
// reads its bytes.
using Read = std::function<std::shared_ptr<std::byte>()>;
void for_each_entry(const std::filesystem::path& file,
                    const std::function<void(const std::string&, std::uint64_t, const Read&)>& visit) {
  const std::unique_ptr<archive, CloseArchive> zip(archive_read_new());
  archive_read_support_format_zip_seekable(zip.get());
  if (archive_read_open_filename(zip.get(), file.c_str(), 1 << 16) != ARCHIVE_OK) {
    fail(file, "is no whole zip file of torch.save(); it may be truncated");
  }
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  while ((status = archive_read_next_header(zip.get(), &entry)) == ARCHIVE_OK) {
    const char* path = archive_entry_pathname(entry);
    const std::string_view name = path == nullptr ? "" : path;
    const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(archive_entry_size(entry), 0));
    visit(std::string(name.substr(name.find('/') + 1)), size, [&] {
      std::shared_ptr<std::byte> bytes(new std::byte[size], std::default_delete<std::byte[]>());
      if (archive_read_data(zip.get(), bytes.get(), size) != static_cast<la_ssize_t>(size)) {
        fail(file, "is damaged or truncated in \"" + std::string(name) + "\"");
      }
      return bytes;
    });
  }
  if (status != ARCHIVE_EOF) fail(file, "is no whole zip file of torch.save(); it may be truncated");
}

std::vector<StoredTensor> read_zip(const std::filesystem::path& file) {
  std::string pickled;
  for_each_entry(file, [&](const std::string& name, std::uint64_t size, const Read& read) {
    if (name == "constants.pkl")
      fail(file, "is a TorchScript module; save its state dict: torch.save(m.state_dict(), ..)");
    if (name == "byteorder" && size == std::string_view("big").size())
      fail(file, "was written on a big-endian machine");
    if (name != "data.pkl") return;
    if (size > kLargestPickle) fail(file, "its pickle has " + std::to_string(size) + " bytes; 32 MiB are read");
    pickled.assign(reinterpret_cast<const char*>(read().get()), size);
  });
  if (pickled.empty()) fail(file, "is a zip file, but not one of torch.save(): it has no data.pkl");
  const Unpickled pickle = pickle::unpickle(pickled, file.string());
  std::set<std::string> wanted;
  for (const auto& [key, value] : tensors_of(pickle, file).entries) {
    if (const auto* tensor = pickle.get<pickle::Tensor>(value)) wanted.insert("data/" + tensor->storage.key);
  }
  // entries are stored as they are, so together no larger than the file: compressed ones could be a bomb
  std::uint64_t left = std::filesystem::file_size(file);
  Storages storages;
  for_each_entry(file, [&](const std::string& name, std::uint64_t size, const Read& read) {
    if (wanted.count(name) == 0) return;
    if (size > left) fail(file, "its tensors are compressed; torch.save() stores them as they are");
    left -= size;
    storages[name.substr(5)] = {read(), size};
  });
  return collect(pickle, storages, file);
}

// torch.save() before 1.6: a magic number, a version, facts about the machine, the state dict and the keys of its
// storages, each a pickle; then each storage's length and bytes.
constexpr std::string_view kLegacyMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);

std::vector<StoredTensor> read_legacy(const std::filesystem::path& file, const std::shared_ptr<MappedFile>& mapping) {
  const std::string_view bytes(reinterpret_cast<const char*>(mapping->data()), mapping->size());
  std::size_t at = kLegacyMagic.size();
  const auto next = [&] {
    Unpickled pickle = pickle::unpickle(bytes.substr(at, kLargestPickle), file.string());
    at += pickle.bytes;
    return pickle;
  };
  next();
  next();
  const Unpickled state = next(), keys = next();
  const auto* list = keys.get<pickle::Sequence>(keys.root);
  if (list == nullptr) fail(file, "its list of storages is malformed");
  std::map<std::string, std::uint64_t> element_size;
  for (const pickle::Value& value : state.values) {
    if (const auto* storage = std::get_if<pickle::Storage>(&value)) {
      element_size[storage->key] = element_bytes(storage->type);
    }
  }
  Storages storages;
  for (const Item item : list->items) {
    const std::string& key = text_of(keys, item);
    if (element_size.count(key) == 0 || bytes.size() - at < 8) fail(file, "the file is truncated or malformed");
    const std::uint64_t elements = mapping->number(at, 8), size = element_size[key];
    at += 8;
    if (elements > (bytes.size() - at) / size) fail(file, "the file is truncated in storage \"" + key + "\"");
    storages[key] = {{mapping, reinterpret_cast<const std::byte*>(mapping->data()) + at}, elements * size};
    at += elements * size;
  }
  return collect(state, storages, file);
}

}  // namespace

std::vector<StoredTensor> read_state_dict(const std::filesystem::path& file) {
  const auto mapping = std::make_shared<MappedFile>(file);
  const std::string_view bytes(reinterpret_cast<const char*>(mapping->data()), mapping->size());
  if (bytes.substr(0, 4) == "PK\3\4") return read_zip(file);
  if (bytes.substr(0, kLegacyMagic.size()) == kLegacyMagic) return read_legacy(file, mapping);
  fail(file, "is neither a .safetensors file nor one that torch.save() wrote");
}

}  // namespace nmlbench
