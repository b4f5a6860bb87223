// What a model is given of a text: its tokens in the family's frame.
#pragma once

#include "models/text/tokenizer.h"

#include <nmlbench/dataset.h>

namespace nmlbench::plugins {

// Tokens that a family puts around and between texts: "[CLS] A [SEP] B [SEP]".
struct Frame {
  std::vector<std::int64_t> before, between, after;
  std::vector<std::int64_t> empty;  // for a text that has no tokens and would have none in its frame
};

struct Sequence {
  std::vector<std::int64_t> tokens;
  std::size_t second = 0;  // place from which on tokens are of the second text, and of the second type
  bool truncated = false;
};

// The text in at most `longest` tokens, frame included. Of a pair, the longer text is truncated first, and both alike
// when each has more than its half (as transformers' truncation=True). Throws DataError for text that is no UTF-8.
Sequence sequence_of(const Text& text, const Tokenizer& tokenizer, const Frame& frame, std::int64_t longest);

}  // namespace nmlbench::plugins
