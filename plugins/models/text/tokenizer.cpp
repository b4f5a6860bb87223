#include "models/text/tokenizer.h"

#include <nmlbench/error.h>
#include <nmlbench/printable.h>

#include <algorithm>

namespace nmlbench::plugins {

Tokenizer::Tokenizer(std::filesystem::path file, Vocabulary vocabulary, std::vector<std::string> specials)
    : file_(std::move(file)), vocabulary_(std::move(vocabulary)), specials_(std::move(specials)) {
  for (const auto& [token, id] : vocabulary_) size_ = std::max(size_, id + 1);
}

Tokenizer::~Tokenizer() = default;

std::int64_t Tokenizer::require(std::string_view token, const std::string& why) const {
  const auto found = vocabulary_.find(token);
  if (found != vocabulary_.end()) return found->second;
  throw DataError(file_.string() + ": has no token \"" + printable(token) + "\"" + why);
}

std::int64_t Tokenizer::special(const std::string& token) const {
  return require(token, ", which this encoder needs; is it its vocabulary?");
}

std::vector<std::int64_t> Tokenizer::tokens(std::string_view text) const {
  std::vector<std::int64_t> tokens;
  while (!text.empty()) {
    std::size_t first = std::string_view::npos;
    const std::string* found = nullptr;
    for (const std::string& token : specials_) {
      const std::size_t at = text.find(token);
      if (at < first) first = at, found = &token;
    }
    if (found == nullptr) break;
    append(text.substr(0, first), tokens);
    tokens.push_back(special(*found));
    text.remove_prefix(first + found->size());
  }
  append(text, tokens);
  return tokens;
}

}  // namespace nmlbench::plugins
