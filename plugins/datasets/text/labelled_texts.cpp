#include "labelled_texts.h"

#include "datasets/common/labelled_images.h"

#include <nmlbench/dense.h>
#include <nmlbench/digest.h>
#include <nmlbench/warning.h>

#include <algorithm>
#include <charconv>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

std::string quoted_list(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "\"" : ", \"") + name + "\"";
  return list;
}

// Place of the column `name` in the first row of a table. `param` says which one it is.
std::size_t place_of(const std::string& name, const char* param, const TextColumns& columns, const TableRow& first,
                     const fs::path& file) {
  if (columns.header) {
    const auto found = std::find(first.fields.begin(), first.fields.end(), name);
    if (found != first.fields.end()) return static_cast<std::size_t>(found - first.fields.begin());
    throw DataError(at_line(file, first.line) + ": has no column \"" + name + "\" (" + param + "); its columns are " +
                    quoted_list(first.fields));
  }
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc() && end == name.data() + name.size() && number >= 1 && number <= first.fields.size())
    return number - 1;
  throw DataError(at_line(file, first.line) + ": has no column " + name + " (" + param +
                  "); without a header they are 1 to " + std::to_string(first.fields.size()));
}

std::vector<TextRow> rows_of_json_lines(const fs::path& file, const TextColumns& columns) {
  std::vector<std::string> keys = {columns.text, columns.label};
  if (!columns.text_pair.empty()) keys.push_back(columns.text_pair);
  std::vector<TextRow> rows;
  for (TableRow& row : read_json_lines(file, keys)) {
    Text text{std::move(row.fields[0]), std::nullopt};
    if (row.fields.size() > 2) text.second = std::move(row.fields[2]);
    rows.push_back({std::move(text), std::move(row.fields[1]), row.line});
  }
  return rows;
}

}  // namespace

std::vector<TextRow> LabelledTextDataset::rows_of(const fs::path& file, TableFormat format,
                                                  const TextColumns& columns) const {
  if (format.json_lines) return rows_of_json_lines(file, columns);
  std::vector<TableRow> table = read_table(file, format);
  if (table.empty()) throw DataError(file.string() + ": holds no lines");
  const TableRow first = table.front();
  const std::size_t text = place_of(columns.text, "text", columns, first, file),
                    label = place_of(columns.label, "label", columns, first, file);
  std::optional<std::size_t> pair;
  if (!columns.text_pair.empty()) pair = place_of(columns.text_pair, "text_pair", columns, first, file);

  const bool skip = params_.text("malformed") == "skip";
  std::vector<TextRow> rows;
  std::int64_t left_out = 0;
  for (std::size_t i = columns.header ? 1 : 0; i < table.size(); ++i) {
    std::vector<std::string>& fields = table[i].fields;
    if (fields.size() != first.fields.size()) {
      if (!skip) {
        throw DataError(at_line(file, table[i].line) + ": has " + std::to_string(fields.size()) +
                        " columns and the first line " + std::to_string(first.fields.size()) +
                        "; mend it, or leave such lines out with malformed = \"skip\"");
      }
      ++left_out;
      continue;
    }
    std::optional<std::string> second;
    if (pair) second = std::move(fields[*pair]);
    rows.push_back({{std::move(fields[text]), std::move(second)}, std::move(fields[label]), table[i].line});
  }
  if (left_out > 0) {
    warn_once(file.string() + ": left out " + std::to_string(left_out) + " of " +
              std::to_string(rows.size() + static_cast<std::size_t>(left_out)) +
              " lines, with other columns than the first");
  }
  return rows;
}

const LabelledTexts& LabelledTextDataset::all() {
  if (!all_) all_ = read();
  return *all_;
}

SplitInfo LabelledTextDataset::open() {
  const LabelledTexts& all = this->all();
  if (all.texts.empty()) throw DataError(files().front().string() + ": holds no sample");
  const torch::Tensor labels = torch::tensor(all.labels, torch::kInt64);
  kept_ = stratified_limit(labels, params_.integer("limit"), params_.integer("limit_seed"));
  labels_ = labels.index_select(0, kept_);
  SplitInfo info;
  info.size = kept_.size(0);
  info.full_size = labels.size(0);
  info.classes = all.classes;
  info.kind = SampleKind::text;
  info.domain = params_.text("domain");
  info.class_names = all.class_names;
  info.metrics = all.metrics;
  for (std::int64_t i = 0; i < info.size && !all.scores.empty(); ++i)
    info.scores.push_back(all.scores[static_cast<std::size_t>(kept_[i].item<std::int64_t>())]);
  return info;
}

std::string LabelledTextDataset::digest() {
  Digest digest;
  digest.update("labelled-texts/1").update(choices()).update(params_.text("malformed"));
  for (const fs::path& file : files()) digest.update(digest_of_file(file));
  digest.update(limit_identity(params_.integer("limit"), [&] { return torch::tensor(all().labels, torch::kInt64); }));
  digest.update(std::to_string(params_.integer("limit_seed")));
  return digest.hex();
}

torch::Tensor LabelledTextDataset::samples(const torch::Tensor&, torch::Device) {
  throw Error("bug in the harness: texts are asked for by texts()");
}

std::vector<Text> LabelledTextDataset::texts(const torch::Tensor& indices) {
  const torch::Tensor rows = kept_.index_select(0, indices);
  std::vector<Text> texts;
  for (std::int64_t i = 0; i < rows.size(0); ++i)
    texts.push_back(all_->texts[static_cast<std::size_t>(rows[i].item<std::int64_t>())]);
  return texts;
}

}  // namespace nmlbench::plugins
