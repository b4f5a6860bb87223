#pragma once

#include "labelled_texts.h"

namespace nmlbench::plugins {

// A test set of GLUE-X (Yang et al. 2023) that is a text file, whole, with the classes of the GLUE task that it is for.
class GlueX : public LabelledTextDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr,
           "folder with flipkart/, scitail/, SemEval-PIT2015-github/ (of GLUE-X), hans/, snli_1.0/ or sick/ (of their "
           "authors)")
          .as(Role::data_folder),
      choice("task", nullptr, "flipkart|scitail|hans|twitter|snli|sick|sick-scores",
             "flipkart: for sst2; scitail, hans: rte; twitter: mrpc, qqp; snli, sick: mnli; sick-scores: stsb"),
      NMLBENCH_TEXT_PARAMS,
  };

  using LabelledTextDataset::LabelledTextDataset;

 protected:
  LabelledTexts read() override;
  std::vector<std::filesystem::path> files() const override;
  std::string choices() const override { return "glue-x " + params().text("task"); }
};

}  // namespace nmlbench::plugins
