// A table of strings, printed for a terminal, Markdown, LaTeX or CSV. Every verb's tables go through here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nmlbench {

struct TextTable {
  struct Column {
    std::string header;
    bool align_right = false;
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // as many strings in each as there are columns
};

// Aligned columns, a thin rule under the headers. `colour` prints the headers bold and the rule dim (ANSI).
std::string to_terminal(const TextTable& table, bool colour = false);
std::string to_markdown(const TextTable& table);
// A booktabs tabular.
std::string to_latex(const TextTable& table);
// RFC 4180, lines end with \n.
std::string to_csv(const TextTable& table);

// Columns that UTF-8 text takes in a terminal (every code point counts as one).
std::size_t display_width(std::string_view text);

}  // namespace nmlbench
