#include "glue.h"

#include "label_names.h"

#include <algorithm>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

struct GlueTask {
  const char* name;
  const char* folder;
  TextColumns columns;
  std::vector<std::string> labels;  // as the files have them, in the order of the classes; none: scores
  std::vector<std::string> classes;
  std::vector<std::string> metrics;
};

// Wang et al. 2019. Columns are those of the distributed files; the order of classes is that of the Hugging Face Hub.
const GlueTask& task_named(const std::string& name) {
  static const std::vector<GlueTask> tasks = {
      {"cola", "CoLA", {"4", "", "2", false}, {"0", "1"}, {"unacceptable", "acceptable"}, {"matthews"}},
      {"sst2", "SST-2", {"sentence", "", "label"}, {"0", "1"}, kSentiment, {}},
      {"mrpc", "MRPC", {"#1 String", "#2 String", "Quality"}, {"0", "1"}, kParaphrase, {"f1"}},
      {"stsb", "STS-B", {"sentence1", "sentence2", "score"}, {}, kScores, {"pearson", "spearman"}},
      {"qqp", "QQP", {"question1", "question2", "is_duplicate"}, {"0", "1"}, kParaphrase, {"f1"}},
      {"mnli", "MNLI", {"sentence1", "sentence2", "gold_label"}, kInference, kInference, {}},
      {"qnli", "QNLI", {"question", "sentence", "label"}, kEntailment, kEntailment, {}},
      {"rte", "RTE", {"sentence1", "sentence2", "label"}, kEntailment, kEntailment, {}},
      {"wnli", "WNLI", {"sentence1", "sentence2", "label"}, {"0", "1"}, {"not_entailment", "entailment"}, {}},
  };
  return *std::find_if(tasks.begin(), tasks.end(), [&](const GlueTask& task) { return task.name == name; });
}

}  // namespace

std::vector<fs::path> Glue::files() const {
  const std::string &task = params().text("task"), &split = params().text("split");
  std::string file = split;
  if (task == "mnli" && split != "train") file = split == "dev-mismatched" ? "dev_mismatched" : split + "_matched";
  return {params().path("path") / task_named(task).folder / (file + ".tsv")};
}

LabelledTexts Glue::read() {
  const GlueTask& task = task_named(params().text("task"));
  const fs::path file = files().front();
  if (params().text("split") == "dev-mismatched" && params().text("task") != "mnli")
    throw DataError("glue: split = \"dev-mismatched\" is of task mnli alone");
  if (params().text("split") == "test") {
    throw DataError(file.string() + ": GLUE keeps the labels of its test sets to itself; test on split = \"dev\"");
  }
  LabelledTexts all;
  for (TextRow& row : rows_of(file, {.separator = '\t', .quoted = false}, task.columns)) {
    if (task.labels.empty()) {
      all.scores.push_back(score_of(row, 0, 5, file));
      all.labels.push_back(rounded(all.scores.back()));
    } else {
      all.labels.push_back(place_in(task.labels, row, file));
    }
    all.texts.push_back(std::move(row.text));
  }
  all.classes = static_cast<std::int64_t>(task.classes.size());
  all.class_names = task.classes;
  all.metrics = task.metrics;
  return all;
}

}  // namespace nmlbench::plugins
