#include "text_table.h"

#include "support/text_file.h"

#include <nmlbench/error.h>

#include <string_view>

#include <nlohmann/json.hpp>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestTable = std::size_t{4} << 30;

// RFC 3629, without the overlong forms and surrogates that it forbids.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(at < text.size() ? text[at] : '\0'); };
    const unsigned char first = byte(i), second = byte(i + 1);
    const std::size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (length == 0 || first > 0xF4) return false;
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
        (first == 0xF4 && second > 0x8F)) {
      return false;
    }
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

void require_utf8(const std::vector<std::string>& fields, const fs::path& file, std::int64_t line) {
  for (const std::string& field : fields) {
    if (!is_utf8(field)) throw DataError(at_line(file, line) + ": is no UTF-8 text; save the file as UTF-8");
  }
}

// Takes fields off a text, one after the other.
class Cursor {
 public:
  Cursor(const fs::path& file, std::string_view text, TableFormat format) : file_(file), text_(text), format_(format) {}

  bool done() const { return at_ >= text_.size(); }

  TableRow row() {
    TableRow row;
    row.line = line_;
    do row.fields.push_back(opens_quote() ? quoted_field() : plain_field());
    while (take(format_.separator));
    take('\r');
    if (take('\n')) ++line_;
    return row;
  }

 private:
  char here() const { return at_ < text_.size() ? text_[at_] : '\n'; }
  bool take(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool opens_quote() const { return format_.quoted && here() == '"'; }
  bool ends_line() const { return here() == '\n' || (here() == '\r' && text_.substr(at_, 2) == "\r\n"); }

  std::string plain_field() {
    const std::size_t begin = at_;
    while (here() != format_.separator && !ends_line()) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted_field() {
    const std::int64_t opened = line_;
    std::string field;
    for (++at_;; ++at_) {
      if (done())
        throw DataError(at_line(file_, opened) + ": a quote is not closed; close it, or say quoting = \"none\"");
      if (text_[at_] == '"' && text_.substr(at_, 2) != "\"\"") break;
      if (text_[at_] == '"') ++at_;  // the second of two
      if (text_[at_] == '\n') ++line_;
      field += text_[at_];
    }
    ++at_;
    if (here() != format_.separator && !ends_line()) {
      throw DataError(at_line(file_, line_) +
                      ": text follows a closing quote; double quotes inside a field, or say quoting = \"none\"");
    }
    return field;
  }

  const fs::path& file_;
  std::string_view text_;
  TableFormat format_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
};

std::string text_of(const nlohmann::json& object, const std::string& key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) throw DataError(where + ": has no \"" + key + "\"");
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number()) return found->dump();
  throw DataError(where + ": \"" + key + "\" is neither text nor a number");
}

}  // namespace

std::string at_line(const fs::path& file, std::int64_t line) {
  return file.string() + ":" + std::to_string(line);
}

std::vector<TableRow> read_table(const fs::path& file, TableFormat format) {
  const std::string text = read_text(file, kLargestTable);
  std::vector<TableRow> rows;
  for (Cursor cursor(file, text, format); !cursor.done();) {
    TableRow row = cursor.row();
    require_utf8(row.fields, file, row.line);
    if (row.fields.size() > 1 || !row.fields[0].empty()) rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<TableRow> read_json_lines(const fs::path& file, const std::vector<std::string>& keys) {
  std::vector<TableRow> rows;
  for (const TableRow& line : read_table(file, {.separator = '\0'})) {  // which no text has
    const std::string where = at_line(file, line.line);
    const auto object = nlohmann::json::parse(line.fields[0], nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) throw DataError(where + ": is no JSON object");
    TableRow row;
    row.line = line.line;
    for (const std::string& key : keys) row.fields.push_back(text_of(object, key, where));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace nmlbench::plugins
