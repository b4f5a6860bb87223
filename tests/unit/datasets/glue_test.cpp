// GLUE and GLUE-X in small twins of their files, and the real ones in ../shared/data where they are there.
#include "support/scratch.h"
#include "support/shared_data.h"
#include "support/texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

namespace nmlbench {
namespace {

using testing::data_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::OpenedDataset;
using testing::Scratch;
using testing::texts_of;
using testing::Values;

class GlueFiles : public ::testing::Test {
 protected:
  OpenedDataset open(const std::string& plugin, const std::string& task, const std::string& file,
                     const std::string& content, Values values = {}) {
    scratch_.write(file, content);
    values.emplace_back("path", scratch_.path().string());
    values.emplace_back("task", task);
    return {plugin, values};
  }
  OpenedDataset glue(const std::string& task, const std::string& file, const std::string& content, Values values = {}) {
    return open("glue", task, file, content, std::move(values));
  }
  std::string failure(const std::string& task, const std::string& file, const std::string& content,
                      const Values& values = {}) {
    return data_error([&] { glue(task, file, content, values); });
  }
  OpenedDataset glue_x(const std::string& task, const std::string& file, const std::string& content,
                       Values values = {}) {
    return open("glue-x", task, file, content, std::move(values));
  }

  Scratch scratch_;
};

TEST_F(GlueFiles, ColaHasFourColumnsAndNoHeader) {
  const OpenedDataset split = glue("cola", "CoLA/train.tsv", "ab01\t1\t\tThe dog barked.\nab01\t0\t*\tBarked dog the.");
  EXPECT_THAT(texts_of(split), ElementsAre("The dog barked.", "Barked dog the."));
  EXPECT_THAT(split.labels(), ElementsAre(1, 0));
  EXPECT_THAT(split.info.class_names, ElementsAre("unacceptable", "acceptable"));
  EXPECT_THAT(split.info.metrics, ElementsAre("matthews"));
}

TEST_F(GlueFiles, Sst2) {
  const OpenedDataset split =
      glue("sst2", "SST-2/dev.tsv", "sentence\tlabel\r\na fine film \t1\r\ndull\t0\r\n", {{"split", "dev"}});
  EXPECT_THAT(texts_of(split), ElementsAre("a fine film ", "dull"));
  EXPECT_THAT(split.labels(), ElementsAre(1, 0));
  EXPECT_THAT(split.info.metrics, IsEmpty());
}

TEST_F(GlueFiles, MrpcHasAByteOrderMarkAndQuotesThatAreText) {
  const OpenedDataset split =
      glue("mrpc", "MRPC/train.tsv",
           "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe said \" no .\t\" No , \" he said .\n");
  EXPECT_THAT(texts_of(split), ElementsAre("He said \" no . | \" No , \" he said ."));
  EXPECT_THAT(split.info.metrics, ElementsAre("f1"));
}

TEST_F(GlueFiles, QqpMayHaveBrokenLinesAndEmptyQuestions) {
  const std::string content =
      "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tWhy?\tHow?\t0\n7\t3\t4\tHalf "
      "of\n5\t5\t6\tWhen?\t\t1\n";
  EXPECT_THAT(failure("qqp", "QQP/train.tsv", content),
              HasSubstr("QQP/train.tsv:3: has 4 columns and the first line 6; mend it, or leave such lines out with "
                        "malformed = \"skip\""));
  const OpenedDataset split = glue("qqp", "QQP/train.tsv", content, {{"malformed", "skip"}});
  EXPECT_THAT(texts_of(split), ElementsAre("Why? | How?", "When? | "));
  EXPECT_THAT(split.labels(), ElementsAre(0, 1));
}

TEST_F(GlueFiles, MnliHasTwoDevelopmentSets) {
  const std::string header =
      "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_"
      "parse\t"
      "sentence1\tsentence2\tlabel1\tgold_label\n";
  const std::string row = "0\t1\t1e\tfiction\t( a )\t( b )\t(ROOT a)\t(ROOT b)\t";
  EXPECT_THAT(glue("mnli", "MNLI/train.tsv", header + row + "A.\tB.\tneutral\tneutral\n").labels(), ElementsAre(1));
  const OpenedDataset matched =
      glue("mnli", "MNLI/dev_matched.tsv", header + row + "C.\tD.\tneutral\tentailment\n", {{"split", "dev"}});
  EXPECT_THAT(texts_of(matched), ElementsAre("C. | D."));
  EXPECT_THAT(matched.labels(), ElementsAre(0));
  const OpenedDataset other = glue("mnli", "MNLI/dev_mismatched.tsv", header + row + "E.\tF.\tneutral\tcontradiction\n",
                                   {{"split", "dev-mismatched"}});
  EXPECT_THAT(other.labels(), ElementsAre(2));
  EXPECT_NE(matched.dataset->digest(), other.dataset->digest());
  EXPECT_THAT(failure("rte", "RTE/dev.tsv", "x", {{"split", "dev-mismatched"}}), HasSubstr("of task mnli alone"));
}

TEST_F(GlueFiles, EntailmentIsClassZeroInQnliAndRte) {
  const OpenedDataset qnli =
      glue("qnli", "QNLI/train.tsv",
           "index\tquestion\tsentence\tlabel\n0\tWho?\tHe.\tnot_entailment\n1\tWhat?\tIt.\tentailment\n");
  EXPECT_THAT(texts_of(qnli), ElementsAre("Who? | He.", "What? | It."));
  EXPECT_THAT(qnli.labels(), ElementsAre(1, 0));
  const OpenedDataset rte = glue(
      "rte", "RTE/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n1\tC.\tD.\tnot_entailment\n");
  EXPECT_THAT(rte.labels(), ElementsAre(0, 1));
  EXPECT_EQ(qnli.info.class_names, rte.info.class_names);
}

TEST_F(GlueFiles, WnliCountsEntailmentAsOne) {
  const OpenedDataset split = glue("wnli", "WNLI/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\t1\n");
  EXPECT_THAT(split.labels(), ElementsAre(1));
  EXPECT_EQ(split.info.class_names.at(1), "entailment");
}

TEST_F(GlueFiles, StsbKeepsScoresBesideTheirRoundings) {
  std::string content = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n";
  const std::vector<std::string> scores = {"5.000", "4.5", "4.499", "0.25", "2.5", "0"};
  for (const std::string& score : scores)
    content += "0\tg\tf\t2012\t1\tnone\tnone\tA " + score + "\tB\t" + score + "\n";
  const OpenedDataset split = glue("stsb", "STS-B/train.tsv", content);
  EXPECT_THAT(split.labels(), ElementsAre(5, 5, 4, 0, 3, 0));
  EXPECT_THAT(split.info.scores, ElementsAre(5.0, 4.5, 4.499, 0.25, 2.5, 0.0));
  EXPECT_EQ(split.info.classes, 6);
  EXPECT_THAT(split.info.metrics, ElementsAre("pearson", "spearman"));
  const OpenedDataset some = glue("stsb", "STS-B/train.tsv", content, {{"limit", std::int64_t{4}}});
  ASSERT_EQ(some.info.scores.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(some.info.scores[i], std::stod(texts_of(some)[i].substr(2)));
  }
  EXPECT_THAT(failure("stsb", "STS-B/train.tsv", content + "0\tg\tf\t2012\t1\tnone\tnone\tA\tB\t5.2\n"),
              HasSubstr("STS-B/train.tsv:8: \"5.2\" is no score from 0 to 5"));
}

TEST_F(GlueFiles, WhatIsMissingOrWrongIsNamed) {
  EXPECT_EQ(failure("sst2", "SST-2/test.tsv", "index\tsentence\n0\ta\n", {{"split", "test"}}),
            (scratch_ / "SST-2/test.tsv").string() +
                ": GLUE keeps the labels of its test sets to itself; test on split = \"dev\"");
  EXPECT_EQ(data_error([&] {
              OpenedDataset("glue", {{"path", scratch_.path().string()}, {"task", "rte"}});
            }),
            (scratch_ / "RTE/train.tsv").string() + ": no such file");
  EXPECT_EQ(failure("sst2", "SST-2/train.tsv", "sentence\tlabel\na\t2\n"),
            (scratch_ / "SST-2/train.tsv").string() + ":2: the label \"2\" is none of 0, 1");
  EXPECT_THAT(failure("rte", "RTE/train.tsv", "index\tsentence1\tsentence2\n0\ta\tb\n"),
              HasSubstr("RTE/train.tsv:1: has no column \"label\" (label); its columns are \"index\", \"sentence1\""));
}

TEST_F(GlueFiles, OtherSetsForTheirTasks) {
  const OpenedDataset flipkart = glue_x("flipkart", "flipkart/flipkart_updated.tsv",
                                        "product_name\tSummary\tSentiment\nfan\t\"good, "
                                        "\"\"cool\"\"\"\tpositive\nfan\tso so\tneutral\nfan\tbad\tnegative\n");
  EXPECT_THAT(texts_of(flipkart), ElementsAre("good, \"cool\"", "so so", "bad"));
  EXPECT_THAT(flipkart.labels(), ElementsAre(1, 0, 0));
  const OpenedDataset scitail =
      glue_x("scitail", "scitail/merged_scitail.tsv", "premise\thypothesis\tlabel\nA\tB\tneutral\nC\tD\tentails\n");
  EXPECT_THAT(scitail.labels(), ElementsAre(1, 0));
  EXPECT_THAT(scitail.info.class_names, ElementsAre("entailment", "not_entailment"));
  scratch_.write("hans/heuristics_train_set.txt",
                 "gold_label\tsentence1\tsentence2\tpairID\nnon-entailment\tThe \"a\"\tb\tex0\n");
  const OpenedDataset hans = glue_x("hans", "hans/heuristics_evaluation_set.txt",
                                    "gold_label\tsentence1\tsentence2\tpairID\nentailment\tc\td\tex0\n");
  EXPECT_THAT(texts_of(hans), ElementsAre("The \"a\" | b", "c | d"));
  EXPECT_THAT(hans.labels(), ElementsAre(1, 0));
  for (const char* part : {"train", "dev"})
    scratch_.write("SemEval-PIT2015-github/" + std::string(part) + ".tsv", "Sent_1\tSent_2\tLabel\na\tb\t1\n");
  const OpenedDataset twitter =
      glue_x("twitter", "SemEval-PIT2015-github/test.tsv", "Sent_1\tSent_2\tLabel\nc\td\t0\n");
  EXPECT_THAT(twitter.labels(), ElementsAre(1, 1, 0));
  EXPECT_THAT(twitter.info.class_names, ElementsAre("not_paraphrase", "paraphrase"));
}

TEST_F(GlueFiles, SnliLeavesOutWhatItsAnnotatorsDidNotAgreeOn) {
  const auto line = [](const std::string& label, const std::string& text) {
    return "{\"gold_label\": \"" + label + "\", \"sentence1\": \"" + text +
           "\", \"sentence2\": \"x\", \"captionID\": \"1\"}\n";
  };
  scratch_.write("snli_1.0/snli_1.0_train.jsonl", line("contradiction", "a") + line("-", "b"));
  scratch_.write("snli_1.0/snli_1.0_dev.jsonl", line("neutral", "c"));
  const OpenedDataset split = glue_x("snli", "snli_1.0/snli_1.0_test.jsonl", line("entailment", "d"));
  EXPECT_THAT(texts_of(split), ElementsAre("a | x", "c | x", "d | x"));
  EXPECT_THAT(split.labels(), ElementsAre(2, 1, 0));
}

TEST_F(GlueFiles, SickHasClassesOfMnliAndScoresOfStsb) {
  const std::string content =
      "pair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\n1\ta\tb\tNEUTRAL\t4."
      "5\n2\tc\td\tENTAILMENT\t1\n";
  EXPECT_THAT(glue_x("sick", "sick/SICK.txt", content).labels(), ElementsAre(1, 0));
  const OpenedDataset scores = glue_x("sick-scores", "sick/SICK.txt", content);
  EXPECT_THAT(scores.info.scores, ElementsAre(4.375, 0.0));
  EXPECT_THAT(scores.labels(), ElementsAre(4, 0));
}

struct Real {
  const char* task;
  const char* split;
  std::vector<std::int64_t> class_counts;
  std::uint32_t crc;  // of all texts in order, each ended by a newline
};

// Counts and CRC-32 by Python: fields between tabs, lines between newlines.
TEST(Glue, TheRealFiles) {
  REQUIRE_SHARED("text/glue");
  const std::vector<Real> sets = {
      {"cola", "train", {2528, 6023}, 0xe533b6a5U},
      {"cola", "dev", {322, 721}, 0x970a6f4cU},
      {"sst2", "train", {29780, 37569}, 0x099b51a6U},
      {"sst2", "dev", {428, 444}, 0x25f62138U},
      {"mrpc", "train", {1194, 2473}, 0x66191748U},
      {"mrpc", "dev", {129, 279}, 0xb7fffb7eU},
      {"rte", "train", {1249, 1241}, 0xe9b3f237U},
      {"rte", "dev", {146, 131}, 0x70ef17d0U},
      {"wnli", "train", {323, 312}, 0x888b9e9dU},
      {"wnli", "dev", {40, 31}, 0xce263ee6U},
      {"stsb", "train", {592, 833, 902, 1359, 1435, 628}, 0x70db155cU},
      {"stsb", "dev", {236, 241, 266, 353, 276, 128}, 0x2d156d22U},
  };
  for (const Real& real : sets) {
    SCOPED_TRACE(std::string(real.task) + " " + real.split);
    const OpenedDataset split(
        "glue", {{"path", (testing::kShared / "text/glue").string()}, {"task", real.task}, {"split", real.split}});
    const torch::Tensor counts = torch::bincount(split.dataset->labels());
    EXPECT_TRUE(torch::equal(counts, torch::tensor(real.class_counts, torch::kInt64))) << counts;
    uLong crc = ::crc32(0, nullptr, 0);
    const auto add = [&](const std::string& text) {
      const std::string line = text + "\n";
      crc = ::crc32(crc, reinterpret_cast<const Bytef*>(line.data()), static_cast<uInt>(line.size()));
    };
    for (const Text& text : split.dataset->texts(torch::arange(split.info.size))) {
      add(text.first);
      if (text.second) add(*text.second);
    }
    EXPECT_EQ(static_cast<std::uint32_t>(crc), real.crc);
  }
}

}  // namespace
}  // namespace nmlbench
