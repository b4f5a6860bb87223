#include "tables.h"

#include "datasets/common/arrays.h"
#include "support/text_file.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestText = std::size_t{1} << 30;

using Fields = std::vector<std::string>;

struct Line {
  std::int64_t number = 0;  // in the file, from 1
  Fields fields;
};

[[noreturn]] void fail(const fs::path& file, const std::string& message) {
  throw DataError(file.string() + ": " + message);
}

[[noreturn]] void fail(const fs::path& file, std::int64_t line, const std::string& message) {
  throw DataError(file.string() + ":" + std::to_string(line) + ": " + message);
}

char separator_of(std::string_view line) {
  for (const char candidate : {',', ';', '\t'}) {
    if (line.find(candidate) != std::string_view::npos) return candidate;
  }
  return ' ';
}

// Fields of one line; quotes hold separators, "" stands for one quote (RFC 4180). Runs of spaces are one separator.
Fields split_fields(std::string_view line, char separator) {
  Fields fields;
  std::string field;
  bool quoted = false, begun = false;
  const auto finish = [&] {
    const std::size_t first = field.find_first_not_of(' '), last = field.find_last_not_of(' ');
    fields.push_back(first == std::string::npos ? "" : field.substr(first, last - first + 1));
    field.clear();
    begun = false;
  };
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"')
        field += line[i++];
      else
        quoted = !quoted;
      begun = true;
    } else if (c == separator && !quoted) {
      if (separator != ' ' || begun) finish();
    } else {
      field += c;
      begun = true;
    }
  }
  if (separator != ' ' || begun) finish();
  return fields;
}

// Lines with something on them; all have as many fields as the first.
std::vector<Line> read_lines(const fs::path& file) {
  const std::string text = read_text(file, kLargestText);
  std::vector<Line> lines;
  std::int64_t number = 0;
  char separator = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    if (separator == 0) separator = separator_of(line);
    lines.push_back({number, split_fields(line, separator)});
    const std::size_t expected = lines.front().fields.size(), found = lines.back().fields.size();
    if (found != expected) {
      fail(file, number, "has " + std::to_string(found) + " fields and the lines before " + std::to_string(expected));
    }
  }
  if (lines.empty()) fail(file, "the file is empty");
  return lines;
}

template <typename T>
std::optional<T> parse(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_npy(const fs::path& file) {
  return file.extension() == ".npy";
}

std::string describe_columns(const Fields& names, std::size_t count) {
  if (names.empty()) return "it has " + std::to_string(count) + " columns and no header";
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "it has " : ", ") + name;
  return list;
}

// Which of `count` columns is meant; `names` is the header, empty when there is none.
std::size_t find_column(const fs::path& file, const std::string& column, const Fields& names, std::size_t count) {
  const std::string have = describe_columns(names, count);
  if (column.empty()) {
    if (count == 1) return 0;
    fail(file, "has several columns and `column` does not say which; " + have);
  }
  const auto named = std::find(names.begin(), names.end(), column);
  if (named != names.end()) return static_cast<std::size_t>(named - names.begin());
  const auto index = parse<std::size_t>(column);
  if (!index || *index >= count) fail(file, "has no column \"" + column + "\"; " + have);
  return *index;
}

torch::Tensor column_of_npy(const fs::path& file, const std::string& column) {
  torch::Tensor array = read_npy(file);
  if (array.is_floating_point())
    fail(file, "labels are integers, found " + std::string(c10::toString(array.scalar_type())));
  if (array.dim() == 1) array = array.unsqueeze(1);
  if (array.dim() != 2) fail(file, "labels are an array [N] or [N, columns], found " + c10::str(array.sizes()));
  const std::size_t index = find_column(file, column, {}, static_cast<std::size_t>(array.size(1)));
  return array.select(1, static_cast<std::int64_t>(index)).to(torch::kInt64).contiguous();
}

bool is_header(const Line& line) {
  return std::none_of(line.fields.begin(), line.fields.end(), [](const std::string& f) { return parse<double>(f); });
}

}  // namespace

torch::Tensor read_column(const fs::path& file, const std::string& column) {
  if (is_npy(file)) return column_of_npy(file, column);
  const std::vector<Line> lines = read_lines(file);
  const bool header = is_header(lines.front());
  const Fields names = header ? lines.front().fields : Fields{};
  const std::size_t index = find_column(file, column, names, lines.front().fields.size());
  std::vector<std::int64_t> values;
  for (std::size_t i = header ? 1 : 0; i < lines.size(); ++i) {
    const std::string& field = lines[i].fields[index];
    const auto value = parse<std::int64_t>(field);
    if (!value) fail(file, lines[i].number, "\"" + field + "\" is no integer");
    values.push_back(*value);
  }
  return torch::tensor(values, torch::kInt64);
}

torch::Tensor read_numbers(const fs::path& file) {
  if (is_npy(file)) {
    const torch::Tensor array = read_npy(file);
    if (array.dim() != 2) fail(file, "expected an array of two dimensions, found " + c10::str(array.sizes()));
    return array.to(torch::kFloat64).contiguous();
  }
  const std::vector<Line> lines = read_lines(file);
  std::vector<double> values;
  for (const Line& line : lines) {
    for (const std::string& field : line.fields) {
      const auto value = parse<double>(field);
      if (!value) fail(file, line.number, "\"" + field + "\" is no number");
      values.push_back(*value);
    }
  }
  return torch::tensor(values, torch::kFloat64).view({static_cast<std::int64_t>(lines.size()), -1});
}

torch::Tensor read_transition(const fs::path& file, std::int64_t classes) {
  const torch::Tensor m = read_numbers(file);
  if (m.sizes() != torch::IntArrayRef({classes, classes})) {
    fail(file, "the transition matrix is " + c10::str(m.sizes()) + " and the data have " + std::to_string(classes) +
                   " classes");
  }
  const torch::Tensor sums = m.sum(1);
  for (std::int64_t row = 0; row < classes; ++row) {
    const double sum = sums[row].item<double>();
    if (!(std::abs(sum - 1) < 1e-4) || (m[row] < 0).any().item<bool>()) {
      fail(file, "row " + std::to_string(row) + " is no distribution: it sums to " + std::to_string(sum) +
                     (std::abs(sum - 1) < 1e-4 ? " with negative entries" : ""));
    }
  }
  return m / sums.unsqueeze(1);
}

torch::Tensor read_features(const fs::path& file, const torch::Tensor& rows, std::int64_t full_size) {
  const torch::Tensor all = read_npy(file);
  if (all.dim() != 2 || !all.is_floating_point()) {
    fail(file, "features are a float array [N, D], found " + std::string(c10::toString(all.scalar_type())) + " " +
                   c10::str(all.sizes()));
  }
  check_length(file, "features", all.size(0), full_size);
  const torch::Tensor features = all.index_select(0, rows).to(torch::kFloat64);
  if (!torch::isfinite(features).all().item<bool>()) fail(file, "has NaN or infinity");
  return features;
}

void check_length(const fs::path& file, const char* what, std::int64_t found, std::int64_t full_size) {
  if (found == full_size) return;
  const bool one_more = found == full_size + 1 && !is_npy(file);
  fail(file, "has " + std::to_string(found) + " rows of " + what + " and the set has " + std::to_string(full_size) +
                 " samples; there must be one for each, in the order of the set" +
                 (one_more ? " (if the first line is a header of numbers, as pandas writes for columns without names, "
                             "give the columns names)"
                           : ""));
}

}  // namespace nmlbench::plugins
