#include "registry/library.h"

#include "config/declared.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <regex>
#include <set>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/library_info.hpp>
#include <boost/dll/shared_library.hpp>
#include <fmt/format.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSymbol = "nmlbench_plugin";

// Reads the symbol table without loading: a foreign library's initialisers never run.
void require_symbol(const fs::path& file) {
  std::vector<std::string> symbols;
  try {
    symbols = boost::dll::library_info(file).symbols();
  } catch (const std::exception&) {
    throw Error("is not a shared library of this machine's kind (ELF)");
  }
  if (std::find(symbols.begin(), symbols.end(), kSymbol) == symbols.end()) {
    throw Error(
        fmt::format("is no nmlbench plugin: it does not export `{}` (NMLBENCH_PLUGINS in the source)", kSymbol));
  }
}

boost::dll::shared_library load(const fs::path& file) {
  try {
    return boost::dll::shared_library(file, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& error) {
    throw Error(fmt::format("cannot be loaded: {}", error.what()));
  }
}

void check_header(const PluginLibrary& library) {
  if (std::memcmp(library.magic, kMagic, sizeof(kMagic)) != 0) {
    throw Error("is no nmlbench plugin: its descriptor does not start with the magic bytes");
  }
  if (library.abi_version != kAbiVersion) {
    throw Error(fmt::format("was built for plugin ABI version {}, this nmlbench has version {}; rebuild it",
                            library.abi_version, kAbiVersion));
  }
  if (library.struct_size != sizeof(PluginLibrary)) {
    throw Error(fmt::format("has a descriptor of {} bytes, this nmlbench expects {}; rebuild it", library.struct_size,
                            sizeof(PluginLibrary)));
  }
  if (std::strcmp(library.build_stamp, NMLBENCH_BUILD_STAMP) != 0) {
    throw Error(
        fmt::format("was built with \"{}\", this nmlbench with \"{}\"; rebuild it with the same LibTorch and compiler",
                    library.build_stamp, NMLBENCH_BUILD_STAMP));
  }
}

void check_factories(const PluginEntry& entry, const std::string& name) {
  const bool present[] = {entry.make_encoder != nullptr, entry.make_noise != nullptr, entry.make_tuner != nullptr,
                          entry.make_dataset != nullptr};
  const auto kind = static_cast<std::size_t>(entry.kind);
  if (kind >= std::size(present)) throw Error(fmt::format("declares \"{}\" of an unknown kind ({})", name, kind));
  if (!present[kind] || std::count(std::begin(present), std::end(present), true) != 1) {
    throw Error(fmt::format("declares \"{}\" without exactly the one factory of its kind", name));
  }
}

// Names are unique, and every default and preset passes its own declaration.
void check_parameters(const PluginEntry& entry, const std::string& name) {
  std::set<std::string> names;
  for (std::uint64_t i = 0; i < entry.param_count; ++i) {
    const ParamSpec& spec = entry.params[i];
    if (!names.insert(spec.name).second) {
      throw Error(fmt::format("declares parameter \"{}\" of \"{}\" twice", spec.name, name));
    }
    if (spec.default_value == nullptr) continue;
    ParamSpec alone = spec;
    try {
      expand_declared({name, &alone, 1}, {}, {});
    } catch (const Error& error) {
      throw Error(fmt::format("declares \"{}\" wrongly: {}", name, error.what()));
    }
  }
}

void check_entries(const PluginLibrary& library) {
  static const std::regex kebab("[a-z0-9]+(-[a-z0-9]+)*");
  std::set<std::pair<PluginKind, std::string>> seen;
  for (std::uint64_t i = 0; i < library.entry_count; ++i) {
    const PluginEntry& entry = library.entries[i];
    const std::string name = entry.name == nullptr ? "" : entry.name;
    if (!std::regex_match(name, kebab)) {
      throw Error(fmt::format("declares \"{}\"; names are lower-case words joined by hyphens", name));
    }
    check_factories(entry, name);
    check_parameters(entry, name);
    if (!seen.insert({entry.kind, name}).second) {
      throw Error(fmt::format("declares the {} \"{}\" twice", kind_name(entry.kind), name));
    }
  }
}

// Never unloaded (DESIGN 3): a tensor or an exception of a plugin's type may outlive any owner.
struct Kept {
  boost::dll::shared_library handle;
  LoadedLibrary library;
};

}  // namespace

const LoadedLibrary& open_library(const fs::path& file) {
  static std::mutex mutex;
  static auto* handles = new std::vector<std::unique_ptr<Kept>>();  // leaked on purpose, refused ones included
  static auto* accepted = new std::map<fs::path, const LoadedLibrary*>();
  const std::lock_guard lock(mutex);
  std::error_code error;
  const fs::path path = fs::canonical(file, error);
  if (error) throw Error("cannot be opened: " + error.message());
  if (const auto found = accepted->find(path); found != accepted->end()) return *found->second;
  if (!fs::is_regular_file(path)) throw Error("is not a file");

  require_symbol(path);
  auto entry = std::make_unique<Kept>();
  entry->handle = load(path);
  entry->library = {path, &entry->handle.get<const PluginLibrary>(kSymbol)};
  const Kept& stays = *entry;
  handles->push_back(std::move(entry));
  check_header(*stays.library.descriptor);
  check_entries(*stays.library.descriptor);
  accepted->emplace(path, &stays.library);
  return stays.library;
}

}  // namespace nmlbench
