#include "text_file.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace nmlbench::plugins {
namespace {

constexpr std::int64_t kMostClasses = 10'000'000;

// Number of a label that is one of `names` or, with none of them, a class number; -1 for another label.
std::int64_t class_of(const std::string& label, const std::vector<std::string>& names) {
  if (!names.empty()) {
    const auto found = std::find(names.begin(), names.end(), label);
    return found == names.end() ? -1 : found - names.begin();
  }
  std::int64_t number = -1;
  const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
  const bool whole = error == std::errc() && end == label.data() + label.size();
  return whole && number >= 0 && number < kMostClasses ? number : -1;
}

}  // namespace

std::string TextFile::format() const {
  if (params().text("format") != "auto") return params().text("format");
  const std::filesystem::path file = params().path("path");
  const std::string ending = (file.extension() == ".gz" ? file.stem() : file).extension().string();
  if (ending == ".csv") return "csv";
  if (ending == ".tsv" || ending == ".txt") return "tsv";
  if (ending == ".jsonl") return "jsonl";
  throw DataError(file.string() + ": its ending tells no format; say format = \"csv\", \"tsv\" or \"jsonl\"");
}

std::vector<TextRow> TextFile::file_rows() const {
  const std::filesystem::path file = params().path("path");
  const TextColumns columns{params().text("text"), params().text("text_pair"), params().text("label"),
                            params().boolean("header")};
  const std::string format = this->format(), &quoting = params().text("quoting");
  const bool quoted = quoting == "csv" || (quoting == "auto" && format == "csv");
  return rows_of(file, {format == "csv" ? ',' : '\t', quoted, format == "jsonl"}, columns);
}

LabelledTexts TextFile::read() {
  const std::vector<std::string>& names = params().texts("classes");
  if (std::set<std::string>(names.begin(), names.end()).size() < names.size())
    throw DataError("text-file: `classes` names a label twice");
  for (const std::string& metric : params().texts("metrics")) {
    if (metric != "matthews" && metric != "f1")
      throw DataError("text-file: metrics = \"" + metric + "\": such files have matthews and f1");
  }
  LabelledTexts all;
  for (TextRow& row : file_rows()) {
    const std::int64_t label = class_of(row.label, names);
    if (label < 0) {
      throw DataError(at_line(params().path("path"), row.line) + ": the label \"" + row.label + "\" is " +
                      (names.empty() ? "no class number (0, 1, 2, ..); name the labels in `classes`, in one order for "
                                       "training and test"
                                     : "not among `classes`"));
    }
    all.labels.push_back(label);
    all.texts.push_back(std::move(row.text));
    all.classes = std::max(all.classes, label + 1);
  }
  if (!names.empty()) all.classes = static_cast<std::int64_t>(names.size());
  all.class_names = names;
  all.metrics = params().texts("metrics");
  return all;
}

std::string TextFile::choices() const {
  std::string text = format() + " " + params().text("quoting") + (params().boolean("header") ? " header" : "");
  for (const char* column : {"text", "text_pair", "label"}) text += '\n' + params().text(column);
  for (const char* list : {"classes", "metrics"}) {
    for (const std::string& name : params().texts(list)) text += '\n' + std::string(list) + ' ' + name;
  }
  return text;
}

}  // namespace nmlbench::plugins
