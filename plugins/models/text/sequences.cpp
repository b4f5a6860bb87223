#include "models/text/sequences.h"

#include <algorithm>

namespace nmlbench::plugins {
namespace {

using Tokens = std::vector<std::int64_t>;

// Lengths of two texts that have `room` together, the first the shorter.
std::pair<std::size_t, std::size_t> shares(std::size_t shorter, std::size_t longer, std::size_t room) {
  if (shorter + longer <= room) return {shorter, longer};
  if (shorter <= room / 2) return {shorter, room - shorter};
  return {room / 2, room - room / 2};
}

void add(Tokens& out, const Tokens& more) {
  out.insert(out.end(), more.begin(), more.end());
}

}  // namespace

Sequence sequence_of(const Text& text, const Tokenizer& tokenizer, const Frame& frame, std::int64_t longest) {
  Tokens first = tokenizer.tokens(text.first), second;
  if (text.second) second = tokenizer.tokens(*text.second);
  const std::size_t framing = frame.before.size() + (text.second ? frame.between.size() : 0) + frame.after.size();
  const std::size_t whole = first.size() + second.size();
  const auto room = static_cast<std::size_t>(longest) - framing;
  const bool swapped = first.size() > second.size();
  auto [shorter, longer] = shares(std::min(first.size(), second.size()), std::max(first.size(), second.size()), room);
  first.resize(swapped ? longer : shorter);
  second.resize(swapped ? shorter : longer);

  Sequence sequence;
  sequence.truncated = first.size() + second.size() < whole;
  add(sequence.tokens, frame.before);
  add(sequence.tokens, first);
  if (text.second) add(sequence.tokens, frame.between);
  sequence.second = sequence.tokens.size();
  add(sequence.tokens, second);
  add(sequence.tokens, frame.after);
  if (sequence.tokens.empty()) add(sequence.tokens, frame.empty);
  if (!text.second) sequence.second = sequence.tokens.size();
  return sequence;
}

}  // namespace nmlbench::plugins
