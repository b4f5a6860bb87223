#include <nmlbench/error.h>
#include <nmlbench/printable.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <string_view>

namespace nmlbench {
namespace {

// Characters that are not seen but change what is: zero-width ones, line separators, directions (bidi), byte order
// mark.
bool is_invisible(unsigned code) {
  return code == 0xad || code == 0x61c || code == 0x180e || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
         (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe007f);
}

// Length of the UTF-8 character that the text begins with; 0 when it begins with none, or with a control character.
std::size_t printable_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  unsigned code = first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const unsigned least = length == 2 ? 0xa0 : length == 3 ? 0x800 : 0x10000;  // below: too long, or control characters
  return first >= 0xc0 && code >= least && code <= 0x10ffff && !surrogate && !is_invisible(code) ? length : 0;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const std::size_t length = printable_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (length > 0) {
      line += text.substr(0, length);
    } else if (first == '\n' || first == '\t') {
      line += first == '\n' ? "\\n" : "\\t";
    } else {
      line += {'\\', 'x', "0123456789abcdef"[first >> 4], "0123456789abcdef"[first & 15]};
    }
    text.remove_prefix(length > 0 ? length : 1);
  }
  return line;
}

Error::Error(const std::string& what) : std::runtime_error(printable(what)) {}
Error::~Error() = default;
DataError::DataError(const std::string& what) : Error(what) {}
DataError::~DataError() = default;

namespace {

constexpr int kTransient[] = {ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EIO,
                              EAGAIN, EINTR,  EBUSY,  ENOLCK, ESTALE, ETIMEDOUT};

// What torch::save says when memory runs out while it packs weights (miniz, MZ_ZIP_ALLOC_FAILED).
constexpr const char* kMinizOutOfMemory = "allocation failed";

std::string advice_for(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "free some space";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files (ulimit -n)";
    case ENOMEM:
      return "close other programs";
    case EIO:
      return "check the disk";
    case EACCES:
    case EPERM:
    case EROFS:
      return "check the permissions";
    default:
      return "";
  }
}

std::string system_text(const std::string& file, const std::string& action, int code, const std::string& advice) {
  const std::string own = advice_for(code);
  std::string text = file + ": cannot " + action + ": " + std::strerror(code);
  if (!own.empty() || !advice.empty()) text += "; " + own + (own.empty() || advice.empty() ? "" : " or ") + advice;
  return text;
}

}  // namespace

SystemError::SystemError(const std::string& file, const std::string& action, int code, const std::string& advice)
    : Error(system_text(file, action, code, advice)), code_(code) {}
SystemError::~SystemError() = default;

bool is_transient(int code) {
  return std::find(std::begin(kTransient), std::end(kTransient), code) != std::end(kTransient);
}

bool names_transient_reason(const std::string& text) {
  if (text.find(kMinizOutOfMemory) != std::string::npos) return true;
  return std::any_of(std::begin(kTransient), std::end(kTransient),
                     [&](int code) { return text.find(std::strerror(code)) != std::string::npos; });
}

Interrupted::Interrupted() : Error("interrupted") {}
Interrupted::~Interrupted() = default;

}  // namespace nmlbench
