#include "cli/given_options.h"

namespace nmlbench::cli {

std::vector<std::string> given_options(const CLI::App& verb, const std::set<std::string>& except) {
  std::vector<std::string> named, unnamed;
  for (const CLI::App* app : {verb.get_parent(), &verb}) {
    for (const CLI::Option* option : app->get_options()) {
      if (option->count() == 0) continue;
      if (option->get_lnames().empty()) {
        unnamed.insert(unnamed.end(), option->results().begin(), option->results().end());
        continue;
      }
      const std::string& name = option->get_lnames().front();
      if (except.count(name) > 0) continue;
      const bool is_flag = option->get_items_expected_max() == 0;
      for (const std::string& value : option->results())
        named.push_back(is_flag ? "--" + name : "--" + name + "=" + value);
    }
  }
  // an option of many values would take what comes behind it for one of them
  unnamed.insert(unnamed.end(), named.begin(), named.end());
  return unnamed;
}

}  // namespace nmlbench::cli
