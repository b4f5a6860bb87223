// Byte-level byte-pair encoding (Sennrich et al., ACL 2016, over bytes: Radford et al., 2019), as of GPT-2 and RoBERTa.
#pragma once

#include "models/text/tokenizer.h"

#include <array>

namespace nmlbench::plugins {

// Text is cut into contractions, words, numbers, other signs and blanks, each with the blank before it; then neighbours
// of the bytes of each are merged in the order in which merges were learned.
class BytePair : public Tokenizer {
 public:
  // `vocabulary`: JSON from token to number (vocab.json, or encoder.json of OpenAI), which spells bytes as printable
  // characters. `merges`: a pair a line (merges.txt, vocab.bpe). Throws DataError, one line.
  BytePair(const std::filesystem::path& vocabulary, const std::filesystem::path& merges,
           std::vector<std::string> specials);

 private:
  struct Merge {
    std::int64_t rank, token;
  };

  void append(std::string_view text, std::vector<std::int64_t>& tokens) const override;
  void append_piece(std::string_view bytes, std::vector<std::int64_t>& tokens) const;
  void read_merges(const std::filesystem::path& file);
  const Merge* merge_of(std::int64_t left, std::int64_t right) const;
  std::int64_t require(std::string_view token, const std::string& why) const;

  std::array<std::int64_t, 256> of_byte_;
  std::unordered_map<std::uint64_t, Merge> merges_;  // by the two tokens
};

}  // namespace nmlbench::plugins
