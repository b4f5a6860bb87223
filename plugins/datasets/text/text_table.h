// Rows of tables in text files: CSV, TSV and JSON lines. Every failure is a DataError that names file and line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::plugins {

struct TableRow {
  std::vector<std::string> fields;
  std::int64_t line = 0;  // of the file, from 1: where the row begins
};

struct TableFormat {
  char separator = '\t';
  bool quoted = false;      // RFC 4180: a field in double quotes may hold separators, line breaks and doubled quotes
  bool json_lines = false;  // an object in each line; nothing else counts
};

// The rows of a file, plain or gzip-compressed. A line ends in \n or \r\n and in nothing else that may stand in a
// sentence (a lone \r, U+2028); empty lines are left out.
std::vector<TableRow> read_table(const std::filesystem::path& file, TableFormat format);

// Of a file with one JSON object in each line, the values of `keys` as text, in their order.
std::vector<TableRow> read_json_lines(const std::filesystem::path& file, const std::vector<std::string>& keys);

// "FILE:12"
std::string at_line(const std::filesystem::path& file, std::int64_t line);

}  // namespace nmlbench::plugins
