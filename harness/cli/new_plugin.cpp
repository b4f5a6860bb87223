#include "cli/cli.h"
#include "plugin_templates.h"
#include "support/output_file.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <regex>

#include <fmt/format.h>

namespace nmlbench::cli {
namespace {

namespace fs = std::filesystem;

// "my-tuner" -> "MyTuner" or "my_tuner"
std::string camel_case(const std::string& kebab) {
  std::string out;
  bool upper = true;
  for (const char c : kebab) {
    if (c != '-') out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = c == '-';
  }
  return out;
}

std::string snake_case(std::string kebab) {
  std::replace(kebab.begin(), kebab.end(), '-', '_');
  return kebab;
}

std::string fill(std::string text, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    const std::string mark = "@" + name + "@";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
      text.replace(at, mark.size(), value);
    }
  }
  return text;
}

int create_plugin(const std::string& kind, const std::string& name, fs::path folder) {
  static const std::regex kebab("[a-z][a-z0-9]*(-[a-z0-9]+)*");
  if (!std::regex_match(name, kebab)) {
    throw Error(
        fmt::format("\"{}\" cannot be a plugin's name; use lower-case words joined by hyphens, like my-tuner", name));
  }
  if (folder.empty()) folder = name;
  if (fs::exists(folder) && !fs::is_empty(folder))
    throw Error(fmt::format("{}: is there already and not empty", folder.string()));
  const std::map<std::string, std::string> values = {
      {"NAME", name}, {"KIND", kind}, {"CLASS", camel_case(name)}, {"FILE", snake_case(name)}};
  fs::create_directories(folder / "src");
  write_output(folder / "CMakeLists.txt", fill(templates::kCMakeLists, values));
  write_output(folder / "README.md", fill(templates::kReadme, values));
  write_output(folder / "src" / (snake_case(name) + ".cpp"), fill(templates::source_of(kind), values));
  fmt::print("{}: {} plugin; its README says how to build and test it\n", folder.string(), kind);
  return kDone;
}

}  // namespace

void add_new_plugin(CLI::App& app, Globals&, Action& action) {
  auto* verb =
      app.add_subcommand("new-plugin", "Write a plugin project that compiles, loads and passes the conformance kit");
  auto kind = std::make_shared<std::string>();
  auto name = std::make_shared<std::string>();
  auto folder = std::make_shared<fs::path>();
  verb->add_option("kind", *kind, "encoder, noise, tuner or dataset")
      ->required()
      ->check(CLI::IsMember({"encoder", "noise", "tuner", "dataset"}));
  verb->add_option("name", *name, "lower-case words joined by hyphens")->required();
  verb->add_option("--dir", *folder, "Folder to create; default: the name");
  verb->callback([&action, kind, name, folder] {
    action = [kind, name, folder] { return create_plugin(*kind, *name, *folder); };
  });
}

}  // namespace nmlbench::cli
