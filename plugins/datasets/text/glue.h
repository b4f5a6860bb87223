#pragma once

#include "labelled_texts.h"

namespace nmlbench::plugins {

// A task of GLUE in the folders of its download: GLUE/CoLA/train.tsv and so on.
class Glue : public LabelledTextDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "folder with CoLA/, SST-2/, MRPC/, STS-B/, QQP/, MNLI/, QNLI/, RTE/ or WNLI/")
          .as(Role::data_folder),
      choice("task", nullptr, "cola|sst2|mrpc|stsb|qqp|mnli|qnli|rte|wnli",
             "with its metrics: Matthews (cola), F1 (mrpc, qqp), Pearson and Spearman (stsb, whose classes are scores "
             "rounded to 0 .. 5)"),
      choice("split", "train", "train|dev|dev-mismatched|test",
             "dev is what GLUE's papers test on; dev-mismatched: mnli, other genres; test has no labels")
          .as(Role::split),
      NMLBENCH_TEXT_PARAMS,
  };

  using LabelledTextDataset::LabelledTextDataset;

 protected:
  LabelledTexts read() override;
  std::vector<std::filesystem::path> files() const override;
  std::string choices() const override { return "glue " + params().text("task"); }
};

}  // namespace nmlbench::plugins
