#include "plan/zero_shot.h"

#include "config/declared.h"
#include "support/text_file.h"
#include "support/words.h"

#include <algorithm>

#include <fmt/format.h>

namespace nmlbench {
namespace {

constexpr std::size_t kLargestFile = 16 << 20;  // bytes

// Without those that are empty.
std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> lines = split_text(read_text(file, kLargestFile), '\n');
  for (std::string& line : lines) {
    if (line.ends_with('\r')) line.pop_back();
  }
  std::erase(lines, "");
  if (lines.empty()) throw DataError(file.string() + ": is empty");
  return lines;
}

}  // namespace

ZeroShot read_zero_shot(const PluginRef& table) {
  const Declaration declaration{"zero_shot", kZeroShotParams, std::size(kZeroShotParams)};
  const std::vector<DeclaredValues> all = expand_declared(declaration, table.values, table.where);
  if (all.size() != 1) throw ConfigError(table.where, "zero_shot cannot have an axis; write one [[pretrain]] for each");
  const Params& params = all.front().params;
  ZeroShot zero_shot;
  const std::filesystem::path file = params.path("prompt_file"), names = params.path("class_names");
  zero_shot.prompts = file.empty() ? params.texts("prompts") : lines_of(file);
  if (!names.empty()) zero_shot.class_names = lines_of(names);
  if (zero_shot.prompts.empty()) throw ConfigError(table.where, "the list of prompts is empty; leave `prompts` out");
  for (const std::string& prompt : zero_shot.prompts) {
    if (prompt.find("{}") == std::string::npos) {
      throw ConfigError(table.where, fmt::format("the prompt \"{}\" has no {{}}, which stands for the class", prompt));
    }
  }
  return zero_shot;
}

}  // namespace nmlbench
