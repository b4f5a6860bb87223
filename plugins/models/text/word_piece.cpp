#include "models/text/word_piece.h"

#include "models/text/unicode.h"
#include "support/text_file.h"
#include "support/words.h"

#include <nmlbench/error.h>

#include <algorithm>

namespace nmlbench::plugins {
namespace {

constexpr std::size_t kLargestVocabulary = 64 << 20;  // bytes
constexpr std::size_t kLongestWord = 100;             // characters; a longer one is unknown

// Blocks of ideographs that are words each, those of tokenizers: its fifth begins 256 characters later than Unicode's.
bool is_ideograph(char32_t code) {
  static constexpr char32_t blocks[][2] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B81F},
                                           {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF}, {0x2F800, 0x2FA1F}};
  return std::any_of(std::begin(blocks), std::end(blocks),
                     [&](const auto& block) { return code >= block[0] && code <= block[1]; });
}

bool stands_alone(char32_t code) {
  const bool ascii = (code >= '!' && code <= '/') || (code >= ':' && code <= '@') || (code >= '[' && code <= '`') ||
                     (code >= '{' && code <= '~');  // also what Unicode calls a symbol: $ + < = > ^ ` | ~
  return ascii || is_punctuation(code);
}

// Blanks for white space and around ideographs; nothing for control characters.
std::u32string cleaned(std::string_view text) {
  std::u32string out;
  for (const char32_t code : code_points(text)) {
    if (code == '\t' || code == '\n' || code == '\r') {
      out.push_back(' ');
    } else if (code == 0xFFFD || is_control(code)) {
      continue;
    } else if (is_ideograph(code)) {
      out.append({' ', code, ' '});
    } else {
      out.push_back(is_space(code) ? ' ' : code);
    }
  }
  return out;
}

std::u32string plain_lower_case(const std::u32string& text) {
  std::u32string out;
  for (const char32_t code : decomposed(text)) {
    if (!is_nonspacing_mark(code)) out.push_back(lower_case(code));
  }
  return out;
}

}  // namespace

WordPiece::WordPiece(const std::filesystem::path& file, bool lower_case)
    : Tokenizer(file,
                [&] {
                  Vocabulary vocabulary;
                  std::vector<std::string> lines = split_text(read_text(file, kLargestVocabulary), '\n');
                  if (!lines.empty() && lines.back().empty()) lines.pop_back();
                  for (std::size_t i = 0; i < lines.size(); ++i) {
                    if (lines[i].ends_with('\r')) lines[i].pop_back();
                    vocabulary[lines[i]] = static_cast<std::int64_t>(i);
                  }
                  return vocabulary;
                }(),
                {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}),
      lower_case_(lower_case),
      unknown_(special("[UNK]")) {}

void WordPiece::append(std::string_view text, std::vector<std::int64_t>& tokens) const {
  std::u32string clean = cleaned(text);
  if (lower_case_) clean = plain_lower_case(clean);
  std::u32string word;
  const auto finish = [&] {
    if (!word.empty()) append_word(word, tokens);
    word.clear();
  };
  for (const char32_t code : clean) {
    const bool alone = stands_alone(code);
    if (alone || is_space(code)) finish();
    if (alone) append_word({code}, tokens);
    if (!alone && !is_space(code)) word.push_back(code);
  }
  finish();
}

void WordPiece::append_word(const std::u32string& word, std::vector<std::int64_t>& tokens) const {
  if (word.size() > kLongestWord) return tokens.push_back(unknown_);
  const std::size_t before = tokens.size();
  for (std::size_t begin = 0; begin < word.size();) {
    std::string piece = begin > 0 ? "##" : "";
    std::vector<std::size_t> ends;  // in bytes, after each further character
    for (std::size_t i = begin; i < word.size(); ++i) {
      append_utf8(piece, word[i]);
      ends.push_back(piece.size());
    }
    auto found = vocabulary().end();
    std::size_t length = ends.size();
    for (; length > 0 && found == vocabulary().end(); --length) {
      found = vocabulary().find(std::string_view(piece).substr(0, ends[length - 1]));
    }
    if (found == vocabulary().end()) {
      tokens.resize(before);
      return tokens.push_back(unknown_);
    }
    tokens.push_back(found->second);
    begin += length + 1;
  }
}

}  // namespace nmlbench::plugins
