// Text as code points and what Unicode says of them, as tokenizers need it.
#pragma once

#include <string>
#include <string_view>

namespace nmlbench::plugins {

// Throws DataError that shows the text and where it is no UTF-8.
std::u32string code_points(std::string_view utf8);

void append_utf8(std::string& out, char32_t code);

bool is_space(char32_t code);            // property White_Space
bool is_letter(char32_t code);           // categories L*
bool is_number(char32_t code);           // N*
bool is_punctuation(char32_t code);      // P*
bool is_nonspacing_mark(char32_t code);  // Mn
bool is_control(char32_t code);          // Cc, Cf, Co: what has no glyph of its own

char32_t lower_case(char32_t code);

// Canonical decomposition (NFD), and the composition of it (NFC).
std::u32string decomposed(const std::u32string& text);
std::u32string composed(const std::u32string& text);

}  // namespace nmlbench::plugins
