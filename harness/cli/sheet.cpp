#include "cli/cli.h"
#include "cli/contact_sheet.h"
#include "cli/session.h"

#include <nmlbench/dataset.h>
#include <nmlbench/plugin.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

namespace nmlbench::cli {
namespace {

struct SheetOptions {
  std::string plugin = "procedural";
  std::vector<std::string> set;
  std::filesystem::path out = "sheet.png";
  std::int64_t columns = 8;
  std::int64_t classes = 8;
  std::int64_t scale = 2;
};

// "domain=sketch" as the matrix would have it: a number when it reads as one, else text.
std::pair<std::string, Value> parse_setting(const std::string& text) {
  const Location where{"--set " + text, 0, 0, ""};
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) throw ConfigError(where, "expected KEY=VALUE");
  const std::string value = text.substr(equals + 1);
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  if (value == "true" || value == "false") return {text.substr(0, equals), {value == "true", where}};
  if (value.empty() || *end != '\0') return {text.substr(0, equals), {value, where}};
  if (number == std::floor(number) && std::abs(number) < 1e15)
    return {text.substr(0, equals), {static_cast<std::int64_t>(number), where}};
  return {text.substr(0, equals), {number, where}};
}

// One split for each domain that the plugin declares as a choice, unless the user chose one; else the split itself.
std::vector<ResolvedPlugin> splits_to_show(const Registry& registry, const SheetOptions& options) {
  PluginRef ref;
  ref.plugin = options.plugin;
  ref.where = {"sheet", 0, 0, ""};
  for (const std::string& text : options.set) ref.values.push_back(parse_setting(text));
  const Registry::Item* item = registry.find(PluginKind::dataset, options.plugin);
  const ParamSpec* domain = item != nullptr ? param_with(*item->entry, Role::domain) : nullptr;
  const auto chosen = [&] {
    return std::any_of(ref.values.begin(), ref.values.end(), [&](const auto& v) { return v.first == domain->name; });
  };
  if (domain != nullptr && domain->type == ParamType::choice && !chosen()) {
    ref.values.emplace_back(domain->name, Value{choices_of(*domain, ref.where), ref.where});
  }
  return registry.expand(PluginKind::dataset, ref);
}

// One row of images for each of the first classes.
std::vector<torch::Tensor> class_rows(const ResolvedPlugin& plugin, const SheetOptions& options) {
  const std::unique_ptr<Dataset> dataset = make_dataset(plugin);
  const SplitInfo info = dataset->open();
  if (info.kind == SampleKind::feature || info.kind == SampleKind::text) {
    throw Error(fmt::format("{} serves {}; a sheet needs images", plugin.name,
                            info.kind == SampleKind::text ? "texts" : "features"));
  }
  const torch::Tensor labels = dataset->labels();
  std::vector<torch::Tensor> rows;
  for (std::int64_t c = 0; c < std::min(options.classes, info.classes); ++c) {
    const torch::Tensor indices = (labels == c).nonzero().view(-1).slice(0, 0, options.columns);
    if (indices.size(0) > 0) rows.push_back(dataset->samples(indices, torch::kCPU));
  }
  return rows;
}

int write_sheet(const Globals& globals, const SheetOptions& options) {
  const Registry registry = load_plugins(globals);
  std::vector<torch::Tensor> rows;
  std::size_t per_block = 1;
  const std::vector<ResolvedPlugin> splits = splits_to_show(registry, options);
  for (const ResolvedPlugin& split : splits) {
    const std::vector<torch::Tensor> block = class_rows(split, options);
    per_block = std::max(per_block, block.size());
    rows.insert(rows.end(), block.begin(), block.end());
  }
  if (rows.empty()) throw Error("the split has no samples to show");
  write_png(options.out, arrange(rows, static_cast<std::int64_t>(per_block), options.scale));
  fmt::print("{}: {} rows in {} blocks\n", options.out.string(), rows.size(), splits.size());
  return kDone;
}

}  // namespace

void add_sheet(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand("sheet", "Write a contact sheet (PNG): samples by class, a block for each domain");
  auto options = std::make_shared<SheetOptions>();
  verb->add_option("plugin", options->plugin, "A dataset plugin")->capture_default_str();
  verb->add_option("--set", options->set, "KEY=VALUE: a parameter of the dataset (repeatable)")
      ->allow_extra_args(false);
  verb->add_option("-o,--out", options->out, "PNG file")->capture_default_str();
  verb->add_option("--columns", options->columns, "Samples of a class")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  verb->add_option("--classes", options->classes, "Classes of a domain")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--scale", options->scale, "Pixels for a pixel")->check(CLI::Range(1, 16))->capture_default_str();
  verb->callback(
      [&globals, &action, options] { action = [&globals, options] { return write_sheet(globals, *options); }; });
}

}  // namespace nmlbench::cli
