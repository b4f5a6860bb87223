#include "registry/registry.h"

#include "config/declared.h"
#include "registry/library.h"
#include "registry/probe.h"
#include "support/environment.h"
#include "support/words.h"

#include <nmlbench/digest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> libraries_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".so") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The program's own, in a build tree and when installed.
std::vector<fs::path> bundled_folders() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  return {program / "lib/nmlbench/plugins", program / ".." / NMLBENCH_INSTALL_LIBDIR / "nmlbench/plugins"};
}

bool is_bundled(const fs::path& library) {
  const std::vector<fs::path> folders = bundled_folders();
  return std::any_of(folders.begin(), folders.end(), [&](const fs::path& folder) {
    std::error_code ignored;
    return fs::equivalent(library.parent_path(), folder, ignored);
  });
}

// The empty file that says that a bundled library of these bytes was opened without harm; "" for one that is tried each
// time: what a stranger's does may depend on more than its bytes.
fs::path mark_of(const fs::path& library, const fs::path& opened) {
  if (opened.empty() || !is_bundled(library)) return {};
  try {
    return opened / digest_of(NMLBENCH_BUILD_STAMP + digest_of_file(library));
  } catch (const DataError&) {
    return {};  // not readable: why is said where it is opened
  }
}

// A mark that cannot be left costs the next program the trial again.
void leave_mark(const fs::path& mark) {
  if (mark.empty()) return;
  std::error_code ignored;
  fs::create_directories(mark.parent_path(), ignored);
  std::ofstream file(mark, std::ios::app);
}

bool before(const Registry::Item& a, const Registry::Item& b) {
  return std::pair(a.entry->kind, std::string_view(a.entry->name)) <
         std::pair(b.entry->kind, std::string_view(b.entry->name));
}

// Plugins are created here and nowhere else, so that whatever a constructor throws gets its name.
template <typename Factory>
auto create(const ResolvedPlugin& plugin, const Params& params, Factory factory) -> decltype(factory(params)) {
  std::string what;
  try {
    if (auto object = factory(params)) return object;
    what = "the factory returned nothing";
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
    what = "an exception that is no std::exception";
  }
  throw Error(fmt::format("{}: {} \"{}\" cannot be created: {}", plugin.where.text(), kind_name(plugin.kind),
                          plugin.name, what));
}

// What the heads of a stack, or the cells of a fit, have in common.
Params shared_params(const ResolvedPlugin& tuner) {
  std::set<std::string> per_head;
  for (std::uint64_t i = 0; i < tuner.entry->param_count; ++i) {
    if (tuner.entry->params[i].varies_in_stack) per_head.insert(tuner.entry->params[i].name);
  }
  return tuner.params.shared_by_heads(per_head);
}

// "pooling=mean,layer=-2": the differences that are of readouts.
std::string readout_id(const PluginEntry& entry, const std::vector<std::pair<std::string, std::string>>& differences) {
  const ParamSpec* end = entry.params + entry.param_count;
  std::vector<std::string> parts;
  for (const auto& [name, value] : differences) {
    const ParamSpec* spec =
        std::find_if(entry.params, end, [&, &name = name](const ParamSpec& s) { return s.name == name; });
    if (spec != end && spec->role == Role::readout) parts.push_back(name + "=" + value);
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

// What is not there nobody can write.
bool others_can_write(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return false;
  const bool of_others = status.st_uid != 0 && status.st_uid != ::geteuid();
  const bool by_group = (status.st_mode & S_IWGRP) != 0 && status.st_gid != ::getegid();
  return of_others || by_group || (status.st_mode & S_IWOTH) != 0;
}

}  // namespace

void require_private(const fs::path& folder) {
  const auto require = [](const fs::path& path, const char* what) {
    if (!others_can_write(path)) return;
    throw Error(
        fmt::format("{}: others can write {} with your rights; take their write permission (chmod go-w), or say "
                    "--allow-shared-plugins",
                    path.string(), what));
  };
  require(folder, "into this plugin folder, and its libraries run");
  for (const fs::path& file : libraries_in(folder)) require(file, "this plugin library, and it runs");
}

std::vector<fs::path> plugin_search_path(const std::vector<fs::path>& extra) {
  std::vector<fs::path> folders;
  for (const fs::path& folder : extra) {
    if (!fs::is_directory(folder)) throw Error(fmt::format("--plugin-dir {}: no such folder", folder.string()));
    folders.push_back(folder);
  }
  std::istringstream list(environment("NMLBENCH_PLUGIN_PATH"));
  for (std::string folder; std::getline(list, folder, ':');) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
  if (const std::string data = environment("XDG_DATA_HOME"); !data.empty()) {
    folders.push_back(fs::path(data) / "nmlbench/plugins");
  } else if (const std::string home = environment("HOME"); !home.empty()) {
    folders.push_back(fs::path(home) / ".local/share/nmlbench/plugins");
  }
  for (const fs::path& folder : bundled_folders()) folders.push_back(folder);
  return folders;
}

Registry Registry::load(const std::vector<fs::path>& folders, const fs::path& opened) {
  std::vector<std::pair<fs::path, fs::path>> files;  // with their marks
  std::vector<fs::path> untried;
  for (const fs::path& folder : folders) {
    for (const fs::path& file : libraries_in(folder)) {
      files.emplace_back(file, mark_of(file, opened));
      if (!fs::exists(files.back().second)) untried.push_back(file);
    }
  }
  const std::map<fs::path, std::string> deadly = deadly_libraries(untried);
  Registry registry;
  std::set<const LoadedLibrary*> seen;  // one file may be reached through two folders
  for (const auto& [file, mark] : files) {
    if (const auto found = deadly.find(file); found != deadly.end()) {
      registry.rejected_.push_back({file, found->second});
      continue;
    }
    try {
      const LoadedLibrary& library = open_library(file);
      if (seen.insert(&library).second) registry.add(library);
      leave_mark(mark);
    } catch (const DuplicatePlugin&) {
      throw;
    } catch (const Error& error) {
      registry.rejected_.push_back({file, error.what()});
    }
  }
  return registry;
}

Registry Registry::load_accepted(const std::vector<std::string>& files) {
  Registry registry;
  for (const std::string& file : files) registry.add(open_library(file));
  return registry;
}

std::vector<std::string> Registry::files() const {
  std::set<std::string> files;
  for (const Item& item : items_) files.insert(item.library->file.string());
  return {files.begin(), files.end()};
}

Registry Registry::load_file(const fs::path& file) {
  Registry registry;
  for (const auto& [deadly, reason] : deadly_libraries({file})) {
    throw Error(fmt::format("{}: {}", deadly.string(), reason));
  }
  try {
    registry.add(open_library(file));
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", file.string(), error.what()));
  }
  return registry;
}

void Registry::add(const LoadedLibrary& library) {
  for (std::uint64_t i = 0; i < library.descriptor->entry_count; ++i) {
    const PluginEntry& entry = library.descriptor->entries[i];
    if (const Item* other = find(entry.kind, entry.name)) {
      throw DuplicatePlugin(fmt::format("two libraries offer the {} \"{}\": {} and {}; remove one",
                                        kind_name(entry.kind), entry.name, other->library->file.string(),
                                        library.file.string()));
    }
    const Item item{&entry, &library};
    items_.insert(std::upper_bound(items_.begin(), items_.end(), item, before), item);
  }
}

const Registry::Item* Registry::find(PluginKind kind, std::string_view name) const {
  const auto found = std::find_if(items_.begin(), items_.end(), [&](const Item& item) {
    return item.entry->kind == kind && item.entry->name == name;
  });
  return found == items_.end() ? nullptr : &*found;
}

Declaration declaration_of(const PluginEntry& entry) {
  return {fmt::format("{} {}", kind_name(entry.kind), entry.name), entry.params, entry.param_count, entry.presets,
          entry.preset_count};
}

const ParamSpec* param_with(const PluginEntry& entry, Role role) {
  const ParamSpec* end = entry.params + entry.param_count;
  const ParamSpec* found = std::find_if(entry.params, end, [&](const ParamSpec& spec) { return spec.role == role; });
  return found == end ? nullptr : found;
}

std::vector<Value> choices_of(const ParamSpec& spec, const Location& where) {
  std::vector<Value> all;
  for (const std::string& choice : split_text(spec.choices, '|')) all.push_back({choice, where});
  return all;
}

std::vector<ResolvedPlugin> Registry::expand(PluginKind kind, const PluginRef& ref) const {
  const Item* item = find(kind, ref.plugin);
  if (item == nullptr) {
    std::vector<std::string> names;
    for (const Item& other : items_) {
      if (other.entry->kind == kind) names.emplace_back(other.entry->name);
    }
    throw ConfigError(ref.where, fmt::format("there is no {} plugin \"{}\"{}", kind_name(kind), ref.plugin,
                                             suggestion(ref.plugin, names)));
  }
  std::vector<ResolvedPlugin> result;
  for (DeclaredValues& values : expand_declared(declaration_of(*item->entry), ref.values, ref.where)) {
    ResolvedPlugin plugin;
    plugin.kind = kind;
    plugin.name = item->entry->name;
    plugin.revision = item->entry->revision;
    plugin.library = item->library->file.filename().string();
    plugin.outside = !is_bundled(item->library->file);
    plugin.library_version = item->library->descriptor->version;
    plugin.params = std::move(values.params);
    plugin.canonical = std::move(values.canonical);
    plugin.stack_key = std::move(values.stack_key);
    plugin.readout = std::move(values.readout);
    plugin.differences = std::move(values.differences);
    for (std::uint64_t i = 0; i < item->entry->param_count; ++i) {
      const ParamSpec& spec = item->entry->params[i];
      if (spec.role != Role::none) plugin.roles.emplace(spec.role, spec.name);
    }
    plugin.readout_id = readout_id(*item->entry, plugin.differences);
    plugin.entry = item->entry;
    plugin.where = ref.where;
    result.push_back(std::move(plugin));
  }
  return result;
}

std::unique_ptr<Dataset> make_dataset(const ResolvedPlugin& plugin) {
  return create(plugin, plugin.params, plugin.entry->make_dataset);
}
std::shared_ptr<Encoder> make_encoder(const ResolvedPlugin& plugin) {
  return create(plugin, plugin.params, plugin.entry->make_encoder);
}
std::unique_ptr<NoiseModel> make_noise(const ResolvedPlugin& plugin) {
  return create(plugin, plugin.params, plugin.entry->make_noise);
}
std::unique_ptr<Tuner> make_tuner(const ResolvedPlugin& plugin) {
  return create(plugin, shared_params(plugin), plugin.entry->make_tuner);
}
std::unique_ptr<EncoderTuner> make_encoder_tuner(const ResolvedPlugin& plugin) {
  return create(plugin, shared_params(plugin), plugin.entry->make_encoder_tuner);
}

}  // namespace nmlbench
