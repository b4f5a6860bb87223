// Finds, checks and keeps plugin libraries, and answers what they offer.
#pragma once

#include "config/declared.h"
#include "plan/catalog.h"

#include <nmlbench/plugin.h>

#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench {

// A library that was opened and accepted. Never unloaded.
struct LoadedLibrary {
  std::filesystem::path file;
  const PluginLibrary* descriptor = nullptr;
};

// A file that is not usable, and why: one clear line naming both sides of a mismatch.
struct RejectedLibrary {
  std::filesystem::path file;
  std::string reason;
};

// Two libraries offer the same plugin: nothing can be chosen for the user.
class DuplicatePlugin : public Error {
 public:
  using Error::Error;
};

// The search path, first match first: `extra` (--plugin-dir), NMLBENCH_PLUGIN_PATH (colon separated),
// $XDG_DATA_HOME/nmlbench/plugins (~/.local/share when unset), then the program's own lib/nmlbench/plugins, found
// relative to the executable, both in a build tree and when installed.
std::vector<std::filesystem::path> plugin_search_path(const std::vector<std::filesystem::path>& extra);

// Throws Error when others than the user and root can write into a folder of libraries, or one of them. A folder that
// is not there passes.
void require_private(const std::filesystem::path& folder);

class Registry : public Catalog {
 public:
  struct Item {
    const PluginEntry* entry = nullptr;
    const LoadedLibrary* library = nullptr;
  };

  // Loads every *.so of the folders, sorted by path, after a child has tried it (probe.h). Libraries that cannot be
  // used are kept in rejected(); two plugins of one name and kind are a DuplicatePlugin error that names both files.
  // Folders that do not exist are passed over. Bundled libraries that were opened without harm are remembered in the
  // folder `opened`, by their bytes, and not tried again; "" remembers nothing.
  static Registry load(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& opened = {});
  // Files that another process of this program has tried and accepted.
  static Registry load_accepted(const std::vector<std::string>& files);
  // One file; throws Error with the reason when it is rejected. For `plugins check` and the conformance kit.
  static Registry load_file(const std::filesystem::path& file);

  std::vector<ResolvedPlugin> expand(PluginKind kind, const PluginRef& ref) const override;

  const std::vector<Item>& items() const { return items_; }  // sorted by kind, then name
  const Item* find(PluginKind kind, std::string_view name) const;
  std::vector<std::string> files() const;  // of the accepted libraries
  const std::vector<RejectedLibrary>& rejected() const { return rejected_; }

 private:
  void add(const LoadedLibrary& library);

  std::vector<Item> items_;
  std::vector<RejectedLibrary> rejected_;
};

Declaration declaration_of(const PluginEntry& entry);
// The parameter with a role; null when there is none.
const ParamSpec* param_with(const PluginEntry& entry, Role role);
// Every value of an enumeration.
std::vector<Value> choices_of(const ParamSpec& spec, const Location& where);

// Create plugin objects. Every exception that the plugin's factory throws becomes an Error naming the plugin.
std::unique_ptr<Dataset> make_dataset(const ResolvedPlugin& plugin);
std::shared_ptr<Encoder> make_encoder(const ResolvedPlugin& plugin);
std::unique_ptr<NoiseModel> make_noise(const ResolvedPlugin& plugin);
std::unique_ptr<Tuner> make_tuner(const ResolvedPlugin& plugin);
std::unique_ptr<EncoderTuner> make_encoder_tuner(const ResolvedPlugin& plugin);

}  // namespace nmlbench
