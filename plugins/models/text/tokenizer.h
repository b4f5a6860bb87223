// From text to the numbers of a vocabulary's tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nmlbench::plugins {

class Tokenizer {
 public:
  virtual ~Tokenizer();

  // Of the text without any framing. As in transformers, a special token that is written out in the text ("[SEP]") is
  // that token. Throws DataError for text that is no UTF-8.
  std::vector<std::int64_t> tokens(std::string_view text) const;

  // Rows that an embedding of the vocabulary has: the largest number of a token + 1.
  std::int64_t size() const { return size_; }

  // Of a special token. Throws DataError naming the file when the vocabulary lacks it.
  std::int64_t special(const std::string& token) const;

 protected:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Vocabulary = std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>>;

  // `specials`: tokens that are found in text before it is taken apart.
  Tokenizer(std::filesystem::path file, Vocabulary vocabulary, std::vector<std::string> specials);

  // Appends the tokens of a text without special ones.
  virtual void append(std::string_view text, std::vector<std::int64_t>& tokens) const = 0;

  // The number of a token. Throws DataError: the file "has no token "x"", and why it should.
  std::int64_t require(std::string_view token, const std::string& why) const;
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  std::filesystem::path file_;
  Vocabulary vocabulary_;
  std::vector<std::string> specials_;
  std::int64_t size_ = 0;
};

}  // namespace nmlbench::plugins
