// Taking texts apart, and guessing what was meant by a word that is not known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nmlbench {

// The parts of a text between separators.
std::vector<std::string> split_text(const std::string& text, char separator);

// The candidate closest to `word`, when it is close enough to be a typing error; "" otherwise.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);
// "; did you mean \"x\"?" or "; available: a, b, c".
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace nmlbench
