#include "registry/library.h"

#include "config/declared.h"
#include "kernels/cpu_level.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/library_info.hpp>
#include <boost/dll/shared_library.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSymbol = "nmlbench_plugin";

// Whether the bytes of `text`, with an end on both sides, stand in the file.
bool contains_text(const fs::path& file, const std::string& text) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  return bytes.find('\0' + text + '\0') != std::string::npos;
}

// Looks into the file without loading it: a foreign library's initialisers never run. Boost's library_info reads the
// full symbol table, which `strip` removes; the name alone has to stand in the dynamic string table then.
void require_symbol(const fs::path& file) {
  std::vector<std::string> symbols;
  try {
    symbols = boost::dll::library_info(file).symbols();
  } catch (const std::bad_alloc&) {  // says nothing of the file
    throw;
  } catch (const std::exception&) {
    throw Error("is not a shared library of this machine's kind (ELF)");
  }
  if (std::find(symbols.begin(), symbols.end(), kSymbol) != symbols.end()) return;
  if (symbols.empty() && contains_text(file, kSymbol)) return;  // stripped
  throw Error(fmt::format("is no nmlbench plugin: it does not export `{}` (NMLBENCH_PLUGINS in the source)", kSymbol));
}

boost::dll::shared_library load(const fs::path& file) {
  try {
    return boost::dll::shared_library(file, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& error) {
    throw Error(fmt::format("cannot be loaded: {}", error.what()));
  }
}

// Reads them to their ends: in a damaged library a pointer may lead anywhere. Identities of results and answers to
// other programs are JSON, which is UTF-8.
void require_texts(std::initializer_list<const char*> texts) {
  constexpr std::size_t kLongest = 100'000;
  for (const char* text : texts) {
    if (text == nullptr || ::strnlen(text, kLongest) == kLongest) {
      throw Error("has a descriptor with missing texts; declare it with NMLBENCH_PLUGINS");
    }
    try {
      nlohmann::json(text).dump();
    } catch (const nlohmann::json::type_error&) {
      throw Error(fmt::format("has a descriptor with a text that is no UTF-8: \"{}\"", text));
    }
  }
}

void require_there(const void* first, std::uint64_t count) {
  if (first == nullptr && count > 0) {
    throw Error("has a descriptor with missing lists; declare it with NMLBENCH_PLUGINS");
  }
}

// Lower-case words joined by hyphens.
bool is_kebab(std::string_view name) {
  const auto of_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool in_word = false;
  for (const char c : name) {
    if (!of_word(c) && !(c == '-' && in_word)) return false;
    in_word = of_word(c);
  }
  return in_word;
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
  require_texts({library.build_stamp, library.name, library.version, library.licence, library.homepage});
  if (std::strcmp(library.build_stamp, NMLBENCH_BUILD_STAMP) != 0) {
    throw Error(
        fmt::format("was built with \"{}\", this nmlbench with \"{}\"; rebuild it with the same LibTorch and compiler",
                    library.build_stamp, NMLBENCH_BUILD_STAMP));
  }
}

void check_factories(const PluginEntry& entry, const std::string& name) {
  const bool present[] = {entry.make_encoder != nullptr, entry.make_noise != nullptr,
                          (entry.make_tuner != nullptr) != (entry.make_encoder_tuner != nullptr),
                          entry.make_dataset != nullptr};
  const bool both_tuners = entry.make_tuner != nullptr && entry.make_encoder_tuner != nullptr;
  const auto kind = static_cast<std::size_t>(entry.kind);
  if (kind >= std::size(present)) throw Error(fmt::format("declares \"{}\" of an unknown kind ({})", name, kind));
  if (both_tuners || !present[kind] || std::count(std::begin(present), std::end(present), true) != 1) {
    throw Error(fmt::format("declares \"{}\" without exactly the one factory of its kind", name));
  }
}

// What the harness's loop reads.
void check_loop_parameters(const PluginEntry& entry, const std::string& name) {
  static constexpr ParamSpec kRead[] = {NMLBENCH_ENCODER_TUNER_PARAMS("1e-4", "random")};
  const ParamSpec* end = entry.params + entry.param_count;
  for (const ParamSpec& read : kRead) {
    const bool declared = std::any_of(entry.params, end, [&](const ParamSpec& spec) {
      return std::string_view(spec.name) == read.name && spec.type == read.type && spec.role == read.role;
    });
    if (declared) continue;
    throw Error(
        fmt::format("declares the encoder tuner \"{}\" without \"{}\"; put NMLBENCH_ENCODER_TUNER_PARAMS first "
                    "in its kParams",
                    name, read.name));
  }
}

// Names are unique; every default, alone and with each preset, passes its own declaration.
void check_parameters(const PluginEntry& entry, const std::string& name) {
  std::set<std::string> names;
  std::set<Role> roles;
  for (std::uint64_t i = 0; i < entry.param_count; ++i) {
    const ParamSpec& spec = entry.params[i];
    require_texts({spec.name, spec.doc, spec.choices, spec.unit});
    if (spec.default_value != nullptr) {
      require_texts({spec.default_value});
    } else if (spec.came_later) {
      throw Error(fmt::format("declares that parameter \"{}\" of \"{}\" came later, but no default", spec.name, name));
    }
    if (!names.insert(spec.name).second) {
      throw Error(fmt::format("declares parameter \"{}\" of \"{}\" twice", spec.name, name));
    }
    if (spec.role == Role::readout && (entry.kind != PluginKind::encoder || spec.type == ParamType::path)) {
      throw Error(fmt::format("makes parameter \"{}\" of \"{}\" a readout, which only encoders have, and no paths are",
                              spec.name, name));
    }
    if (spec.role != Role::none && spec.role != Role::readout && !roles.insert(spec.role).second) {
      throw Error(fmt::format("gives parameter \"{}\" of \"{}\" a role that another one has", spec.name, name));
    }
    if (entry.kind == PluginKind::noise && spec.role == Role::none && std::string_view(spec.name) == "ratio") {
      throw Error(
          fmt::format("declares the parameter \"ratio\" of \"{}\" without a role, so that results would say that "
                      "its ratio is 0; add .as(Role::noise_ratio)",
                      name));
    }
  }
  std::vector<ParamSpec> optional(entry.params, entry.params + entry.param_count);
  std::erase_if(optional, [](const ParamSpec& spec) { return spec.default_value == nullptr; });
  const Declaration declaration{name, optional.data(), optional.size(), entry.presets, entry.preset_count};
  for (std::uint64_t i = 0; i < entry.preset_count; ++i)
    require_texts({entry.presets[i].name, entry.presets[i].values});
  try {
    expand_declared(declaration, {}, {});
    for (std::uint64_t i = 0; i < entry.preset_count; ++i) {
      expand_declared(declaration, {{"preset", Value{std::string(entry.presets[i].name), {}}}}, {});
    }
  } catch (const Error& error) {
    throw Error(fmt::format("declares \"{}\" wrongly: {}", name, error.what()));
  }
}

void check_entries(const PluginLibrary& library) {
  require_there(library.entries, library.entry_count);
  std::set<std::pair<PluginKind, std::string>> seen;
  for (std::uint64_t i = 0; i < library.entry_count; ++i) {
    const PluginEntry& entry = library.entries[i];
    require_texts({entry.name, entry.summary, entry.reference});
    const std::string name = entry.name;
    require_there(entry.params, entry.param_count);
    require_there(entry.presets, entry.preset_count);
    if (!is_kebab(name)) {
      throw Error(fmt::format("declares \"{}\"; names are lower-case words joined by hyphens", name));
    }
    check_factories(entry, name);
    check_parameters(entry, name);
    if (entry.make_encoder_tuner != nullptr) check_loop_parameters(entry, name);
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

void check_descriptor(const PluginLibrary& library) {
  check_header(library);
  check_entries(library);
}

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

  cpu_level();  // plugins ask while they are loaded, where an exception has nowhere to go
  require_symbol(path);
  auto entry = std::make_unique<Kept>();
  entry->handle = load(path);
  if (!entry->handle.has(kSymbol)) throw Error(fmt::format("does not export `{}` to others", kSymbol));
  entry->library = {path, &entry->handle.get<const PluginLibrary>(kSymbol)};
  const Kept& stays = *entry;
  handles->push_back(std::move(entry));
  check_descriptor(*stays.library.descriptor);
  accepted->emplace(path, &stays.library);
  return stays.library;
}

}  // namespace nmlbench
