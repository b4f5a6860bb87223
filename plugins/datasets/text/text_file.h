#pragma once

#include "labelled_texts.h"

namespace nmlbench::plugins {

// One file of labelled texts.
class TextFile : public LabelledTextDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "table with a text and its label in each line: .csv, .tsv, .txt or .jsonl; may end in .gz"),
      choice("format", "auto", "auto|csv|tsv|jsonl", "auto: by the file's ending; .txt is tab-separated"),
      choice("quoting", "auto", "auto|none|csv",
             "none: quotes are text like any other; csv: fields may stand in double quotes; auto: csv for CSV alone"),
      boolean("header", "true",
              "the first line names the columns; else they are numbered from 1. JSON lines have names"),
      text("text", "text", "column of the text"),
      text("text_pair", "", "column of a second text, of tasks on pairs"),
      text("label", "label", "column of the label: a number from 0, or a name out of `classes`"),
      ::nmlbench::texts("classes", "",
                        "names of the labels in the order of their numbers, the same for training and test"),
      ::nmlbench::texts("metrics", "", "measured besides on this test set: matthews, f1 (of class 1 of two)"),
      NMLBENCH_TEXT_PARAMS,
  };

  using LabelledTextDataset::LabelledTextDataset;

 protected:
  LabelledTexts read() override;
  std::vector<std::filesystem::path> files() const override { return {params().path("path")}; }
  std::string choices() const override;

 private:
  std::string format() const;  // "csv", "tsv" or "jsonl"
  std::vector<TextRow> file_rows() const;
};

}  // namespace nmlbench::plugins
