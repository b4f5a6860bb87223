// Byte-level byte-pair encoding (Sennrich et al., ACL 2016, over bytes: Radford et al., 2019): of GPT-2 and RoBERTa,
// and of CLIP.
#pragma once

#include "models/text/tokenizer.h"

#include <array>

namespace nmlbench::plugins {

// A line of a file of merges.
struct MergeLine {
  std::string left, right;
  std::string where;  // "FILE:LINE"
};

// Pairs of neighbours and what they are merged into.
class Merges {
 public:
  // Each was learned after those that were added before. Of a pair that comes again the first place counts.
  void add(std::int64_t left, std::int64_t right, std::int64_t joined);
  // All places of the pair that was learned first are merged, again and again.
  void apply(std::vector<std::int64_t>& parts) const;

 private:
  struct Merge {
    std::size_t rank;
    std::int64_t token;
  };
  const Merge* find(std::int64_t left, std::int64_t right) const;

  std::unordered_map<std::uint64_t, Merge> merges_;  // by the two tokens
};

// Text is cut into contractions, words, numbers, other signs and blanks, each with the blank before it; then neighbours
// of the bytes of each are merged in the order in which merges were learned.
class BytePair : public Tokenizer {
 public:
  // `vocabulary`: JSON from token to number (vocab.json, or encoder.json of OpenAI), which spells bytes as printable
  // characters. `merges`: a pair a line (merges.txt, vocab.bpe). Throws DataError, one line.
  BytePair(const std::filesystem::path& vocabulary, const std::filesystem::path& merges,
           std::vector<std::string> specials);

 private:
  void append(std::string_view text, std::vector<std::int64_t>& tokens) const override;

  std::array<std::int64_t, 256> of_byte_;
  Merges merges_;
};

// CLIP's (Radford et al., ICML 2021), with the numbers that transformers' CLIPTokenizer gives: text is composed (NFC),
// lower-cased and cut into contractions, words, single digits and other signs without the blanks between; the last
// byte of each is a token of its own kind, "e</w>". Its 49,408 tokens are the bytes, the bytes at an end, what 48,894
// merges make, "<|startoftext|>" and "<|endoftext|>", in this order.
class ClipBytePair : public Tokenizer {
 public:
  // `merges`: a pair a line, of which 48,894 are read (bpe_simple_vocab_16e6.txt.gz of OpenAI and open_clip, merges.txt
  // of transformers). "": no merges, so that the tokens are the 512 bytes and the two marks. Throws DataError, one
  // line.
  explicit ClipBytePair(const std::filesystem::path& merges);

  std::int64_t start() const { return size() - 2; }
  std::int64_t end() const { return size() - 1; }  // the largest number

 private:
  ClipBytePair(const std::filesystem::path& file, const std::vector<MergeLine>& lines);
  static Vocabulary tokens_of(const std::vector<MergeLine>& lines);
  void append(std::string_view text, std::vector<std::int64_t>& tokens) const override;

  std::array<std::int64_t, 256> inner_, last_;  // of bytes inside a word, and at its end
  Merges merges_;
};

}  // namespace nmlbench::plugins
