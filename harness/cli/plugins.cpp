#include "cli/cli.h"
#include "cli/session.h"
#include "results/render/text_table.h"
#include "support/words.h"

#include <nmlbench/plugin.h>
#include <nmlbench/printable.h>

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {
namespace {

using nlohmann::json;

const char* type_name(ParamType type) {
  switch (type) {
    case ParamType::boolean:
      return "bool";
    case ParamType::integer:
      return "int";
    case ParamType::real:
      return "float";
    case ParamType::text:
      return "string";
    case ParamType::choice:
      return "enum";
    case ParamType::path:
      return "path";
    case ParamType::reals:
      return "list of float";
    case ParamType::texts:
      return "list of string";
  }
  return "";
}

// "0.1|0.2", "[0, 1]" or "" when everything is allowed.
std::string allowed(const ParamSpec& spec) {
  if (spec.type == ParamType::choice) return spec.choices;
  if (!std::isfinite(spec.min) && !std::isfinite(spec.max)) return "";
  return fmt::format("[{}, {}]", spec.min, spec.max);
}

std::string default_text(const ParamSpec& spec) {
  if (spec.default_value == nullptr) return "(required)";
  return *spec.default_value == '\0' ? "\"\"" : spec.default_value;
}

json to_json(const PluginEntry& entry, const LoadedLibrary& library) {
  json params = json::array(), presets = json::object();
  for (std::uint64_t i = 0; i < entry.param_count; ++i) {
    const ParamSpec& spec = entry.params[i];
    json item = {{"name", spec.name}, {"type", type_name(spec.type)}, {"doc", spec.doc}};
    item["default"] = spec.default_value == nullptr ? json() : json(spec.default_value);
    if (!allowed(spec).empty()) item["allowed"] = allowed(spec);
    if (*spec.unit != '\0') item["unit"] = spec.unit;
    if (spec.varies_in_stack) item["per_head"] = true;
    if (spec.role == Role::readout) item["readout"] = true;
    params.push_back(std::move(item));
  }
  for (std::uint64_t i = 0; i < entry.preset_count; ++i) presets[entry.presets[i].name] = entry.presets[i].values;
  return {{"kind", kind_name(entry.kind)},
          {"name", entry.name},
          {"summary", entry.summary},
          {"reference", entry.reference},
          {"revision", entry.revision},
          {"library", library.descriptor->name},
          {"version", library.descriptor->version},
          {"licence", library.descriptor->licence},
          {"file", library.file.string()},
          {"params", std::move(params)},
          {"presets", std::move(presets)}};
}

std::string list_table(const Registry& registry) {
  TextTable table{{{"kind"}, {"name"}, {"summary"}, {"library"}}, {}};
  for (const Registry::Item& item : registry.items()) {
    table.rows.push_back({kind_name(item.entry->kind), item.entry->name, item.entry->summary,
                          fmt::format("{} {}", item.library->descriptor->name, item.library->descriptor->version)});
  }
  return to_terminal(table);
}

json list_json(const Registry& registry) {
  json out = json::array();
  for (const Registry::Item& item : registry.items()) out.push_back(to_json(*item.entry, *item.library));
  return out;
}

std::string description(const PluginEntry& entry, const LoadedLibrary& library) {
  std::string out = fmt::format("{} {}: {}\n", kind_name(entry.kind), entry.name, printable(entry.summary));
  if (*entry.reference != '\0') out += fmt::format("reference  {}\n", printable(entry.reference));
  out += fmt::format("library    {} {}, {} ({})\n", printable(library.descriptor->name),
                     printable(library.descriptor->version), printable(library.descriptor->licence),
                     printable(library.file.string()));
  if (entry.param_count == 0) return out + "takes no parameters\n";
  TextTable table{{{"parameter"}, {"type"}, {"default"}, {"allowed"}, {"unit"}, {"meaning"}}, {}};
  for (std::uint64_t i = 0; i < entry.param_count; ++i) {
    const ParamSpec& spec = entry.params[i];
    table.rows.push_back({spec.name, type_name(spec.type), default_text(spec), allowed(spec), spec.unit, spec.doc});
  }
  out += "\n" + to_terminal(table);
  for (std::uint64_t i = 0; i < entry.preset_count; ++i) {
    out += fmt::format("preset {}: {}\n", printable(entry.presets[i].name), printable(entry.presets[i].values));
  }
  return out;
}

// "NAME" or "KIND/NAME".
std::vector<Registry::Item> find_named(const Registry& registry, const std::string& wanted) {
  std::vector<Registry::Item> found;
  std::vector<std::string> names;
  for (const Registry::Item& item : registry.items()) {
    names.emplace_back(item.entry->name);
    const std::string full = fmt::format("{}/{}", kind_name(item.entry->kind), item.entry->name);
    if (wanted == item.entry->name || wanted == full) found.push_back(item);
  }
  if (found.empty()) throw Error(fmt::format("there is no plugin \"{}\"{}", wanted, suggestion(wanted, names)));
  return found;
}

int list_plugins(const Globals& globals, bool as_json) {
  const Registry registry = load_plugins(globals);
  fmt::print("{}", as_json ? list_json(registry).dump(2) + "\n" : list_table(registry));
  return kDone;
}

int describe_plugin(const Globals& globals, const std::string& name, bool as_json) {
  const Registry registry = load_plugins(globals);
  for (const Registry::Item& item : find_named(registry, name)) {
    fmt::print("{}",
               as_json ? to_json(*item.entry, *item.library).dump(2) + "\n" : description(*item.entry, *item.library));
  }
  return kDone;
}

int check_library(const std::filesystem::path& file, bool as_json) {
  const Registry registry = Registry::load_file(file);
  fmt::print("{}", as_json ? list_json(registry).dump(2) + "\n"
                           : fmt::format("{}: usable\n{}", printable(file.string()), list_table(registry)));
  return kDone;
}

}  // namespace

void add_plugins(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand("plugins", "List, describe and check plugins");
  auto as_json = std::make_shared<bool>(false);
  auto name = std::make_shared<std::string>();
  auto file = std::make_shared<std::filesystem::path>();
  verb->add_flag("--json", *as_json, "As JSON");
  verb->require_subcommand(0, 1);
  verb->callback([&globals, &action, verb, as_json] {
    if (!verb->get_subcommands().empty()) return;
    action = [&globals, as_json] { return list_plugins(globals, *as_json); };
  });
  verb->add_subcommand("list", "Every plugin of the search path")->callback([&globals, &action, as_json] {
    action = [&globals, as_json] { return list_plugins(globals, *as_json); };
  });
  auto* describe = verb->add_subcommand("describe", "Parameters, presets and origin of one plugin");
  describe->add_option("name", *name, "NAME, or KIND/NAME")->required();
  describe->callback([&globals, &action, name, as_json] {
    action = [&globals, name, as_json] { return describe_plugin(globals, *name, *as_json); };
  });
  auto* check = verb->add_subcommand("check", "Whether one library can be used, and what it offers");
  check->add_option("file", *file, "Shared library")->required();
  check->callback([&action, file, as_json] { action = [file, as_json] { return check_library(*file, *as_json); }; });
}

}  // namespace nmlbench::cli
