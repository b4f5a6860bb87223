// WordPiece (Schuster & Nakajima, ICASSP 2012) behind BERT's basic tokenizer (Devlin et al., NAACL 2019).
#pragma once

#include "models/text/tokenizer.h"

namespace nmlbench::plugins {

// Text is cleaned of control characters, CJK characters become words, punctuation stands alone, and each word is cut
// into the longest pieces that the vocabulary has ("##" before those inside a word), or is [UNK]. With `lower_case`,
// letters are that, and lose their accents.
//
// Equals BertTokenizer of transformers (5; those of tokenizers 0.23), whose tables are of Unicode 8: characters that
// came later, or changed their category since, have Unicode's present properties here.
class WordPiece : public Tokenizer {
 public:
  // `file`: a token a line (vocab.txt). Throws DataError, one line.
  WordPiece(const std::filesystem::path& file, bool lower_case);

 private:
  void append(std::string_view text, std::vector<std::int64_t>& tokens) const override;
  void append_word(const std::u32string& word, std::vector<std::int64_t>& tokens) const;

  bool lower_case_;
  std::int64_t unknown_;
};

}  // namespace nmlbench::plugins
