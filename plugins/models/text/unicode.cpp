#include "models/text/unicode.h"

#include <nmlbench/error.h>
#include <nmlbench/printable.h>

#include <utf8proc.h>

namespace nmlbench::plugins {
namespace {

constexpr std::size_t kShown = 40;  // bytes of a text in a message

bool category_in(char32_t code, utf8proc_category_t first, utf8proc_category_t last) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category >= first && category <= last;
}

void require_normalised(utf8proc_ssize_t length) {
  if (length < 0) throw Error(std::string("Unicode normalisation failed: ") + utf8proc_errmsg(length));
}

}  // namespace

std::u32string code_points(std::string_view utf8) {
  std::u32string out;
  out.reserve(utf8.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(utf8.data());
  for (std::size_t at = 0; at < utf8.size();) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t length =
        utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(utf8.size() - at), &code);
    if (length < 1) {
      throw DataError("the text \"" + printable(utf8.substr(0, kShown)) + (utf8.size() > kShown ? ".." : "") +
                      "\" is no UTF-8 at byte " + std::to_string(at) + "; save the data as UTF-8");
    }
    out.push_back(static_cast<char32_t>(code));
    at += static_cast<std::size_t>(length);
  }
  return out;
}

void append_utf8(std::string& out, char32_t code) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

bool is_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || code == 0x85 ||
         category_in(code, UTF8PROC_CATEGORY_ZS, UTF8PROC_CATEGORY_ZP);  // spaces, line and paragraph separators
}

bool is_letter(char32_t code) {
  return category_in(code, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO);
}

bool is_number(char32_t code) {
  return category_in(code, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

bool is_punctuation(char32_t code) {
  return category_in(code, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO);
}

bool is_nonspacing_mark(char32_t code) {
  return category_in(code, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_MN);
}

bool is_control(char32_t code) {
  return category_in(code, UTF8PROC_CATEGORY_CC, UTF8PROC_CATEGORY_CF) ||
         category_in(code, UTF8PROC_CATEGORY_CO, UTF8PROC_CATEGORY_CO);
}

char32_t lower_case(char32_t code) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

std::u32string decomposed(const std::u32string& text) {
  std::string utf8;
  for (const char32_t code : text) append_utf8(utf8, code);
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(utf8.data());
  const auto size = static_cast<utf8proc_ssize_t>(utf8.size());
  std::u32string out(2 * text.size() + 16, U'\0');
  const auto decompose = [&] {
    return utf8proc_decompose(bytes, size, reinterpret_cast<utf8proc_int32_t*>(out.data()),
                              static_cast<utf8proc_ssize_t>(out.size()), UTF8PROC_DECOMPOSE);
  };
  utf8proc_ssize_t length = decompose();
  if (length > static_cast<utf8proc_ssize_t>(out.size())) {  // it was counted, not written
    out.resize(static_cast<std::size_t>(length));
    length = decompose();
  }
  require_normalised(length);
  out.resize(static_cast<std::size_t>(length));
  return out;
}

std::u32string composed(const std::u32string& text) {
  std::u32string out = decomposed(text);
  const utf8proc_ssize_t length = utf8proc_normalize_utf32(reinterpret_cast<utf8proc_int32_t*>(out.data()),
                                                           static_cast<utf8proc_ssize_t>(out.size()), UTF8PROC_COMPOSE);
  require_normalised(length);
  out.resize(static_cast<std::size_t>(length));
  return out;
}

}  // namespace nmlbench::plugins
