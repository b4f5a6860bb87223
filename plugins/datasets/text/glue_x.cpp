#include "glue_x.h"

#include "label_names.h"

#include <nmlbench/warning.h>

#include <algorithm>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

struct TestSource {
  const char* name;
  std::vector<std::string> files;
  TableFormat format;
  TextColumns columns;
  std::vector<std::string> labels;      // as the files have them; none: scores
  std::vector<std::int64_t> of_labels;  // the class of each
  std::vector<std::string> classes;
  std::vector<std::string> metrics;
};

constexpr TableFormat kTabs = {.separator = '\t', .quoted = false};
constexpr TableFormat kPandas = {.separator = '\t', .quoted = true};  // as pandas reads and writes them
constexpr TableFormat kJson = {.json_lines = true};

// The folders, files, columns and classes of github.com/YangLinyi/GLUE-X, evaluation/utils_lp.py. Neutral reviews count
// as negative there; all splits of a source are its test set.
const TestSource& source_named(const std::string& name) {
  static const std::vector<TestSource> sources = {
      {"flipkart",
       {"flipkart/flipkart_updated.tsv"},
       kPandas,
       {"Summary", "", "Sentiment"},
       {"negative", "neutral", "positive"},
       {0, 0, 1},
       kSentiment,
       {}},
      {"scitail",
       {"scitail/merged_scitail.tsv"},
       kPandas,
       {"premise", "hypothesis", "label"},
       {"entails", "neutral"},
       {0, 1},
       kEntailment,
       {}},
      {"hans",
       {"hans/heuristics_train_set.txt", "hans/heuristics_evaluation_set.txt"},
       kTabs,
       {"sentence1", "sentence2", "gold_label"},
       {"entailment", "non-entailment"},
       {0, 1},
       kEntailment,
       {}},
      {"twitter",
       {"SemEval-PIT2015-github/train.tsv", "SemEval-PIT2015-github/dev.tsv", "SemEval-PIT2015-github/test.tsv"},
       kPandas,
       {"Sent_1", "Sent_2", "Label"},
       {"0", "1"},
       {0, 1},
       kParaphrase,
       {"f1"}},
      {"snli",
       {"snli_1.0/snli_1.0_train.jsonl", "snli_1.0/snli_1.0_dev.jsonl", "snli_1.0/snli_1.0_test.jsonl"},
       kJson,
       {"sentence1", "sentence2", "gold_label"},
       kInference,
       {0, 1, 2},
       kInference,
       {}},
      {"sick",
       {"sick/SICK.txt"},
       kTabs,
       {"sentence_A", "sentence_B", "entailment_label"},
       {"ENTAILMENT", "NEUTRAL", "CONTRADICTION"},
       {0, 1, 2},
       kInference,
       {}},
      {"sick-scores",
       {"sick/SICK.txt"},
       kTabs,
       {"sentence_A", "sentence_B", "relatedness_score"},
       {},
       {},
       kScores,
       {"pearson", "spearman"}},
  };
  return *std::find_if(sources.begin(), sources.end(), [&](const TestSource& source) { return source.name == name; });
}

}  // namespace

std::vector<fs::path> GlueX::files() const {
  std::vector<fs::path> files;
  for (const std::string& file : source_named(params().text("task")).files)
    files.push_back(params().path("path") / file);
  return files;
}

LabelledTexts GlueX::read() {
  const TestSource& source = source_named(params().text("task"));
  LabelledTexts all;
  std::int64_t undecided = 0;
  for (const fs::path& file : files()) {
    for (TextRow& row : rows_of(file, source.format, source.columns)) {
      if (row.label == "-") {  // SNLI: the annotators did not agree
        ++undecided;
        continue;
      }
      if (source.labels.empty()) {  // 1 to 5, to STS-B's 0 to 5
        all.scores.push_back((score_of(row, 1, 5, file) - 1) * 1.25);
        all.labels.push_back(rounded(all.scores.back()));
      } else {
        all.labels.push_back(source.of_labels[static_cast<std::size_t>(place_in(source.labels, row, file))]);
      }
      all.texts.push_back(std::move(row.text));
    }
  }
  if (undecided > 0) {
    warn_once(files().front().string() + ": left out " + std::to_string(undecided) +
              " samples of the label \"-\", on which its annotators did not agree");
  }
  all.classes = static_cast<std::int64_t>(source.classes.size());
  all.class_names = source.classes;
  all.metrics = source.metrics;
  return all;
}

}  // namespace nmlbench::plugins
