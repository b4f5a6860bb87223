#include "results/render/text_table.h"

#include <nmlbench/printable.h>

#include <algorithm>

#include <fmt/format.h>

namespace nmlbench {

namespace {

TextTable with_printable_cells(TextTable table) {
  for (auto& column : table.columns) column.header = printable(column.header);
  for (auto& row : table.rows) {
    for (std::string& cell : row) cell = printable(cell);
  }
  return table;
}

std::string padded(const std::string& text, std::size_t width, bool align_right) {
  const std::string fill(width - std::min(width, display_width(text)), ' ');
  return align_right ? fill + text : text + fill;
}

std::vector<std::string> headers(const TextTable& table) {
  std::vector<std::string> texts;
  for (const auto& column : table.columns) texts.push_back(column.header);
  return texts;
}

std::vector<std::size_t> widths(const TextTable& table) {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    std::size_t width = display_width(table.columns[i].header);
    for (const auto& row : table.rows) width = std::max(width, display_width(row[i]));
    result.push_back(width);
  }
  return result;
}

std::string line(const TextTable& table, const std::vector<std::string>& cells,
                 const std::vector<std::size_t>& widths) {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    text += (i > 0 ? "  " : "") + padded(cells[i], widths[i], table.columns[i].align_right);
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string escaped_markdown(std::string_view text) {
  std::string result;
  for (const char c : printable(text)) {
    if (c == '|' || c == '\\' || c == '*' || c == '_' || c == '`' || c == '<' || c == '>') result += '\\';
    result += c;
  }
  return result;
}

std::string markdown_line(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text += fmt::format(" {} |", escaped_markdown(cell));
  return text + "\n";
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

std::string escaped_latex(std::string_view text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '\\':
        result += "\\textbackslash{}";
        break;
      case '~':
        result += "\\textasciitilde{}";
        break;
      case '^':
        result += "\\textasciicircum{}";
        break;
      case '&':
      case '%':
      case '$':
      case '#':
      case '_':
      case '{':
      case '}':
        result += '\\';
        [[fallthrough]];
      default:
        result += c;
    }
  }
  replace_all(result, "±", "$\\pm$");
  replace_all(result, "Δ", "$\\Delta$");
  return result;
}

std::string latex_line(const std::vector<std::string>& cells) {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) text += (i > 0 ? " & " : "") + escaped_latex(cells[i]);
  return text + " \\\\\n";
}

std::string csv_line(const std::vector<std::string>& cells) {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) text += ',';
    if (cells[i].find_first_of(",\"\r\n") == std::string::npos) {
      text += cells[i];
      continue;
    }
    std::string quoted = cells[i];
    replace_all(quoted, "\"", "\"\"");
    text += '"' + quoted + '"';
  }
  return text + "\n";
}

// Blocks of characters that a terminal draws two columns wide (East Asian Width W and F, Unicode 15), and of those that
// it draws over the character before.
struct Block {
  char32_t first, last;
};
constexpr Block kWide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},  {0x3400, 0x4DBF},
                           {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xA960, 0xA97F},  {0xAC00, 0xD7A3},
                           {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6},
                           {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
constexpr Block kOver[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0x3099, 0x309A}, {0xFE00, 0xFE0F}};

template <std::size_t N>
bool in_blocks(char32_t c, const Block (&blocks)[N]) {
  return std::any_of(blocks, blocks + N, [c](const Block& block) { return c >= block.first && c <= block.last; });
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    char32_t c = lead < 0x80 ? lead : lead < 0xE0 ? lead & 0x1FU : lead < 0xF0 ? lead & 0x0FU : lead & 0x07U;
    for (; i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80; ++i) {
      c = c << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
    }
    width += in_blocks(c, kOver) ? 0 : in_blocks(c, kWide) ? 2 : 1;
  }
  return width;
}

std::string to_terminal(const TextTable& any, bool colour) {
  const TextTable table = with_printable_cells(any);
  const auto columns = widths(table);
  std::size_t total = columns.empty() ? 0 : 2 * (columns.size() - 1);
  for (const std::size_t width : columns) total += width;
  std::string rule;
  for (std::size_t i = 0; i < total; ++i) rule += "─";
  const std::string header = line(table, headers(table), columns);
  std::string text = colour ? fmt::format("\033[1m{}\033[0m\n\033[2m{}\033[0m\n", header, rule)
                            : fmt::format("{}\n{}\n", header, rule);
  for (const auto& row : table.rows) text += line(table, row, columns) + "\n";
  return text;
}

std::string to_markdown(const TextTable& table) {
  std::string text = markdown_line(headers(table)) + "|";
  for (const auto& column : table.columns) text += column.align_right ? " ---: |" : " :--- |";
  text += "\n";
  for (const auto& row : table.rows) text += markdown_line(row);
  return text;
}

std::string to_latex(const TextTable& table) {
  std::string text = "\\begin{tabular}{";
  for (const auto& column : table.columns) text += column.align_right ? 'r' : 'l';
  text += "}\n\\toprule\n" + latex_line(headers(table)) + "\\midrule\n";
  for (const auto& row : table.rows) text += latex_line(row);
  return text + "\\bottomrule\n\\end{tabular}\n";
}

std::string to_csv(const TextTable& table) {
  std::string text = csv_line(headers(table));
  for (const auto& row : table.rows) text += csv_line(row);
  return text;
}

}  // namespace nmlbench
