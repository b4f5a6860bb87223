#include "models/text/byte_pair.h"

#include "models/text/unicode.h"
#include "support/text_file.h"
#include "support/words.h"

#include <nmlbench/error.h>
#include <nmlbench/printable.h>

#include <algorithm>

#include <nlohmann/json.hpp>

namespace nmlbench::plugins {
namespace {

constexpr std::size_t kLargestFile = 64 << 20;               // bytes
constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;  // embeddings of more would not fit a machine
constexpr std::size_t kMostMerges = kMostTokens;
constexpr std::size_t kClipMerges = 49152 - 256 - 2;  // as CLIP counts them
constexpr const char *kWordEnd = "</w>", *kStartOfText = "<|startoftext|>", *kEndOfText = "<|endoftext|>";

// GPT-2 spells a byte as the character of its number where that has a glyph in Latin-1, others from U+0100 on.
std::array<char32_t, 256> characters_of_bytes() {
  std::array<char32_t, 256> characters;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printed = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    characters[byte] = printed ? byte : next++;
  }
  return characters;
}

enum class Sign { letter, number, blank, other };

Sign sign_of(char32_t code) {
  if (is_letter(code)) return Sign::letter;
  if (is_number(code)) return Sign::number;
  return is_space(code) ? Sign::blank : Sign::other;
}

std::size_t contraction(std::u32string_view text) {
  for (const std::u32string_view ending : {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"}) {
    if (text.substr(0, ending.size()) == ending) return ending.size();
  }
  return 0;
}

std::size_t run_of(std::u32string_view text, Sign sign) {
  std::size_t length = 0;
  while (length < text.size() && sign_of(text[length]) == sign) ++length;
  return length;
}

// Characters of the first match of GPT-2's pattern
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::size_t piece_length(std::u32string_view text) {
  if (const std::size_t length = contraction(text)) return length;
  const std::size_t blank = text.size() > 1 && text[0] == ' ' && sign_of(text[1]) != Sign::blank ? 1 : 0;
  const Sign sign = sign_of(text[blank]);
  if (sign != Sign::blank) return blank + run_of(text.substr(blank), sign);
  const std::size_t length = run_of(text, Sign::blank);
  return length > 1 && length < text.size() ? length - 1 : length;  // the last blank belongs to the next piece
}

std::string utf8_of(std::u32string_view text) {
  std::string bytes;
  for (const char32_t code : text) append_utf8(bytes, code);
  return bytes;
}

// Lower case of the composed text, character by character.
std::u32string lower_cased(std::u32string text) {
  const auto ascii = [](char32_t code) { return code < 0x80; };
  if (!std::all_of(text.begin(), text.end(), ascii)) text = composed(text);
  std::u32string lower;
  for (const char32_t code : text) {
    if (code == 0x130) {  // the one letter whose lower case is two
      lower += {U'i', 0x307};
    } else {
      lower += lower_case(code);
    }
  }
  return lower;
}

// The first `most` pairs of a file, which may begin with a version.
std::vector<MergeLine> read_merges(const std::filesystem::path& file, std::size_t most) {
  const std::vector<std::string> lines = split_text(read_text(file, kLargestFile), '\n');
  std::vector<MergeLine> merges;
  for (std::size_t i = 0; i < lines.size() && merges.size() < most; ++i) {
    std::string line = lines[i];
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || (i == 0 && line.find("#version") != std::string::npos)) continue;
    const std::string where = file.string() + ":" + std::to_string(i + 1);
    const std::size_t blank = line.find(' ');
    if (blank == std::string::npos || line.find(' ', blank + 1) != std::string::npos) {
      throw DataError(where + ": is no pair of tokens; the file has to be the model's merges.txt (or vocab.bpe)");
    }
    merges.push_back({line.substr(0, blank), line.substr(blank + 1), where});
  }
  return merges;
}

std::uint64_t key_of(std::int64_t left, std::int64_t right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint64_t>(right);
}

}  // namespace

void Merges::add(std::int64_t left, std::int64_t right, std::int64_t joined) {
  merges_.try_emplace(key_of(left, right), Merge{merges_.size(), joined});
}

const Merges::Merge* Merges::find(std::int64_t left, std::int64_t right) const {
  const auto found = merges_.find(key_of(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Merges::apply(std::vector<std::int64_t>& parts) const {
  while (parts.size() > 1) {
    const Merge* best = nullptr;
    std::int64_t left = 0, right = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const Merge* merge = find(parts[i], parts[i + 1]);
      if (merge == nullptr || (best != nullptr && merge->rank >= best->rank)) continue;
      best = merge, left = parts[i], right = parts[i + 1];
    }
    if (best == nullptr) break;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool here = i + 1 < parts.size() && parts[i] == left && parts[i + 1] == right;
      parts[kept++] = here ? best->token : parts[i];
      if (here) ++i;
    }
    parts.resize(kept);
  }
}

BytePair::BytePair(const std::filesystem::path& vocabulary, const std::filesystem::path& merges,
                   std::vector<std::string> specials)
    : Tokenizer(
          vocabulary,
          [&] {
            Vocabulary read;
            const auto json = nlohmann::json::parse(read_text(vocabulary, kLargestFile), nullptr, false);
            if (!json.is_object()) {
              throw DataError(vocabulary.string() +
                              ": is no JSON object of tokens; it has to be the model's vocab.json");
            }
            for (const auto& [token, id] : json.items()) {
              if (!id.is_number_integer() || id < 0 || id >= kMostTokens) {
                throw DataError(vocabulary.string() + ": the token \"" + printable(token) +
                                "\" has no number; it has to be the model's vocab.json");
              }
              read[token] = id.template get<std::int64_t>();
            }
            return read;
          }(),
          std::move(specials)) {
  const std::array<char32_t, 256> characters = characters_of_bytes();
  for (std::size_t byte = 0; byte < 256; ++byte) {
    of_byte_[byte] = require(utf8_of({&characters[byte], 1}), ", which stands for the byte " + std::to_string(byte));
  }
  for (const MergeLine& line : read_merges(merges, kMostMerges)) {
    const std::string why = ", of the merge at " + line.where;
    const std::int64_t left = require(line.left, why), right = require(line.right, why);
    merges_.add(left, right, require(line.left + line.right, why));
  }
}

void BytePair::append(std::string_view text, std::vector<std::int64_t>& tokens) const {
  const std::u32string codes = code_points(text);
  std::vector<std::int64_t> parts;
  for (std::u32string_view rest = codes; !rest.empty();) {
    const std::size_t length = piece_length(rest);
    parts.clear();
    for (const char byte : utf8_of(rest.substr(0, length))) parts.push_back(of_byte_[static_cast<unsigned char>(byte)]);
    merges_.apply(parts);
    tokens.insert(tokens.end(), parts.begin(), parts.end());
    rest.remove_prefix(length);
  }
}

ClipBytePair::ClipBytePair(const std::filesystem::path& merges)
    : ClipBytePair(merges, merges.empty() ? std::vector<MergeLine>() : read_merges(merges, kClipMerges)) {}

ClipBytePair::ClipBytePair(const std::filesystem::path& file, const std::vector<MergeLine>& lines)
    : Tokenizer(file, tokens_of(lines), {kStartOfText, kEndOfText}) {
  const std::array<char32_t, 256> characters = characters_of_bytes();
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const std::string token = utf8_of({&characters[byte], 1});
    inner_[byte] = require(token, "");
    last_[byte] = require(token + kWordEnd, "");
  }
  for (const MergeLine& line : lines) {
    const std::string why = ", of the merge at " + line.where;
    const std::int64_t left = require(line.left, why), right = require(line.right, why);
    merges_.add(left, right, require(line.left + line.right, why));
  }
}

Tokenizer::Vocabulary ClipBytePair::tokens_of(const std::vector<MergeLine>& lines) {
  const std::array<char32_t, 256> characters = characters_of_bytes();
  Vocabulary tokens;
  const auto add = [&](const std::string& token) {
    tokens.try_emplace(token, static_cast<std::int64_t>(tokens.size()));
  };
  for (const char* ending : {"", kWordEnd}) {
    for (const bool printed : {true, false}) {  // those with a glyph of their own come first
      for (std::size_t byte = 0; byte < 256; ++byte) {
        if ((characters[byte] == byte) == printed) add(utf8_of({&characters[byte], 1}) + ending);
      }
    }
  }
  for (const MergeLine& line : lines) add(line.left + line.right);
  add(kStartOfText);
  add(kEndOfText);
  return tokens;
}

void ClipBytePair::append(std::string_view text, std::vector<std::int64_t>& tokens) const {
  const std::u32string codes = lower_cased(code_points(text));
  std::vector<std::int64_t> parts;
  for (std::u32string_view rest = codes; !rest.empty();) {
    const Sign sign = sign_of(rest[0]);
    std::size_t length = contraction(rest);
    if (length == 0) length = sign == Sign::number ? 1 : run_of(rest, sign);
    if (sign != Sign::blank) {
      parts.clear();
      const std::string bytes = utf8_of(rest.substr(0, length));
      for (const char byte : bytes) parts.push_back(inner_[static_cast<unsigned char>(byte)]);
      parts.back() = last_[static_cast<unsigned char>(bytes.back())];
      merges_.apply(parts);
      tokens.insert(tokens.end(), parts.begin(), parts.end());
    }
    rest.remove_prefix(length);
  }
}

}  // namespace nmlbench::plugins
