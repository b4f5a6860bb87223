// Readers of labelled texts: what they serve of small files, and what they say of wrong ones.
#include "support/texts.h"

#include "support/scratch.h"
#include "support/shared_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using testing::data_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::OpenedDataset;
using testing::Scratch;
using testing::texts_of;
using testing::Values;

using Texts = std::vector<std::string>;

class TextFiles : public ::testing::Test {
 protected:
  OpenedDataset open(const std::string& name, const std::string& content, Values values = {}) {
    values.emplace_back("path", scratch_.write(name, content).string());
    return {"text-file", values};
  }
  std::string failure(const std::string& name, const std::string& content, const Values& values = {}) {
    return data_error([&] { open(name, content, values); });
  }
  std::string file(const std::string& name) const { return (scratch_ / name).string(); }

  Scratch scratch_;
  const Values no_header_{{"header", false}, {"text", "1"}, {"label", "2"}};
};

TEST_F(TextFiles, CsvMayQuoteSeparatorsLineBreaksAndQuotes) {
  const OpenedDataset split = open("a.csv", "label,text\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n0,plain \"word\"\r\n");
  EXPECT_THAT(texts_of(split), ElementsAre("a, \"b\"\r\nc", "plain \"word\""));
  EXPECT_THAT(split.labels(), ElementsAre(1, 0));
  EXPECT_EQ(split.info.kind, SampleKind::text);
  EXPECT_EQ(split.info.classes, 2);
}

TEST_F(TextFiles, QuotesOfTabSeparatedTextAreText) {
  const OpenedDataset split = open("a.tsv", "text\tlabel\n\" he said\t0\n\"\"\t1\n");
  EXPECT_THAT(texts_of(split), ElementsAre("\" he said", "\"\""));
}

TEST_F(TextFiles, OnlyNewlinesEndLines) {
  const OpenedDataset split = open("a.txt",
                                   "one\rtwo\t0\nthree\xE2\x80\xA8"
                                   "four\x0B"
                                   "five\t1\r\nsix\xC2\x85\t1",
                                   no_header_);
  EXPECT_THAT(texts_of(split), ElementsAre("one\rtwo",
                                           "three\xE2\x80\xA8"
                                           "four\x0B"
                                           "five",
                                           "six\xC2\x85"));
  EXPECT_THAT(split.labels(), ElementsAre(0, 1, 1));
}

TEST_F(TextFiles, BlanksAtTheEndsOfSentencesStay) {
  EXPECT_THAT(texts_of(open("a.txt", " A film.  \t0\n\t1\n", no_header_)), ElementsAre(" A film.  ", ""));
}

TEST_F(TextFiles, AByteOrderMarkIsNotPartOfTheHeader) {
  EXPECT_THAT(texts_of(open("a.tsv", "\xEF\xBB\xBFtext\tlabel\nx\t0\n")), ElementsAre("x"));
}

TEST_F(TextFiles, JsonLinesHavePairsAndNamedLabels) {
  const OpenedDataset split = open(
      "a.jsonl",
      "{\"p\": \"It rains.\", \"h\": \"It\\nis wet.\", \"l\": "
      "\"yes\"}\n\n{\"l\":\"no\",\"p\":\"a\",\"h\":\"\\u00e9\"}\n",
      {{"text", "p"}, {"text_pair", "h"}, {"label", "l"}, {"classes", std::vector<Value>{{"no", {}}, {"yes", {}}}}});
  EXPECT_THAT(texts_of(split), ElementsAre("It rains. | It\nis wet.", "a | \xC3\xA9"));
  EXPECT_THAT(split.labels(), ElementsAre(1, 0));
  EXPECT_THAT(split.info.class_names, ElementsAre("no", "yes"));
}

TEST_F(TextFiles, JsonLabelsMayBeNumbers) {
  EXPECT_THAT(open("a.jsonl", "{\"text\": \"x\", \"label\": 2}\n").labels(), ElementsAre(2));
}

TEST_F(TextFiles, ClassesHaveTheStatedOrder) {
  const std::vector<Value> classes{{"pos", {}}, {"neg", {}}, {"odd", {}}};
  const OpenedDataset split = open("a.csv", "text,label\na,neg\nb,pos\n", {{"classes", classes}});
  EXPECT_THAT(split.labels(), ElementsAre(1, 0));
  EXPECT_EQ(split.info.classes, 3);
}

TEST_F(TextFiles, TextsAndLabelsStayInStepUnderALimit) {
  std::string content = "text,label\n";
  for (int i = 0; i < 60; ++i) content += "sentence " + std::to_string(i) + "," + std::to_string(i % 3) + "\n";
  const OpenedDataset split = open("a.csv", content, {{"limit", std::int64_t{12}}});
  EXPECT_EQ(split.info.size, 12);
  EXPECT_EQ(split.info.full_size, 60);
  const Texts texts = texts_of(split);
  const torch::Tensor rows = split.dataset->rows();
  std::vector<int> of_class(3);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const int number = std::stoi(texts[i].substr(9));
    EXPECT_EQ(split.labels()[i], number % 3);
    EXPECT_EQ(rows[static_cast<std::int64_t>(i)].item<std::int64_t>(), number);
    ++of_class[static_cast<std::size_t>(number % 3)];
  }
  EXPECT_THAT(of_class, ElementsAre(4, 4, 4));
  EXPECT_NE(texts, texts_of(open("a.csv", content, {{"limit", std::int64_t{12}}, {"limit_seed", std::int64_t{1}}})));
}

TEST_F(TextFiles, TheDigestIsOfTheBytesAndOfWhatIsTakenFromThem) {
  const auto digest = [&](const std::string& content, const Values& values = {}) {
    return open("a.csv", content, values).dataset->digest();
  };
  const std::string content = "text,label,other\na,0,1\nb,1,0\n";
  EXPECT_EQ(digest(content), digest(content));
  EXPECT_NE(digest(content), digest("text,label,other\na,0,1\nc,1,0\n"));
  EXPECT_NE(digest(content), digest(content, {{"label", "other"}}));
  EXPECT_NE(digest(content), digest(content, {{"limit", std::int64_t{1}}}));
  EXPECT_NE(digest(content), digest(content, {{"metrics", std::vector<Value>{{"f1", {}}}}}));
}

TEST_F(TextFiles, WrongLinesAreNamed) {
  EXPECT_EQ(failure("a.csv", "text,label\na,0\n\"b,\n,c\",1,2\n"),
            file("a.csv") +
                ":3: has 3 columns and the first line 2; mend it, or leave such lines out with malformed = "
                "\"skip\"");
  EXPECT_EQ(failure("a.csv", "text,label\na,0\n\"b,1\nc,1\n"),
            file("a.csv") + ":3: a quote is not closed; close it, or say quoting = \"none\"");
  EXPECT_THAT(failure("a.csv", "text,label\n\"a\" b,0\n"), HasSubstr("a.csv:2: text follows a closing quote"));
  EXPECT_EQ(failure("a.csv", "sentence,label\na,0\n"),
            file("a.csv") + ":1: has no column \"text\" (text); its columns are \"sentence\", \"label\"");
  EXPECT_EQ(failure("a.txt", "a\t0\n", {{"header", false}, {"text", "1"}, {"label", "3"}}),
            file("a.txt") + ":1: has no column 3 (label); without a header they are 1 to 2");
  EXPECT_THAT(failure("a.csv", "text,label\na,good\n"), HasSubstr("a.csv:2: the label \"good\" is no class number"));
  EXPECT_THAT(failure("a.csv", "text,label\na,\n"), HasSubstr("a.csv:2: the label \"\" is no class number"));
  EXPECT_THAT(failure("a.csv", "text,label\na,-1\n"), HasSubstr("a.csv:2: the label \"-1\" is no class number"));
  EXPECT_EQ(failure("a.csv", "text,label\na,x\n", {{"classes", std::vector<Value>{{"y", {}}}}}),
            file("a.csv") + ":2: the label \"x\" is not among `classes`");
  EXPECT_EQ(failure("a.tsv", "text\tlabel\nx\t0\nna\xEFve\t0\n"),
            file("a.tsv") + ":3: is no UTF-8 text; save the file as UTF-8");
  EXPECT_THAT(failure("a.jsonl", "{\"text\": \"a\", \"label\": 0}\n[1]\n"), HasSubstr("a.jsonl:2: is no JSON object"));
  EXPECT_THAT(failure("a.jsonl", "{\"text\": \"a\"}\n"), HasSubstr("a.jsonl:1: has no \"label\""));
  EXPECT_THAT(failure("a.jsonl", "{\"text\": null, \"label\": 0}\n"),
              HasSubstr("\"text\" is neither text nor a number"));
  EXPECT_THAT(failure("a.csv", ""), HasSubstr("holds no lines"));
  EXPECT_THAT(failure("a.csv", "text,label\n"), HasSubstr("holds no sample"));
  EXPECT_THAT(failure("a.dat", "x"), HasSubstr("its ending tells no format"));
  EXPECT_THAT(data_error([] { OpenedDataset("text-file", {{"path", "/none.csv"}}); }), HasSubstr("no such file"));
}

TEST_F(TextFiles, MalformedLinesMayBeLeftOut) {
  const OpenedDataset split = open("a.tsv", "text\tlabel\na\t0\nb\nc\td\t1\ne\t1\n", {{"malformed", "skip"}});
  EXPECT_THAT(texts_of(split), ElementsAre("a", "e"));
}

TEST_F(TextFiles, LargeTextsAndManyLines) {
  const std::string long_text(1 << 20, 'x');
  std::string content = "text,label\n\"" + long_text + "\",0\n";
  for (int i = 0; i < 2000; ++i) content += "y,1\n";
  const OpenedDataset split = open("a.csv", content);
  EXPECT_EQ(split.info.size, 2001);
  EXPECT_EQ(texts_of(split)[0], long_text);
}

TEST(Sentences, OfTheThreeReviewSites) {
  REQUIRE_SHARED("text/sentences");
  for (const char* name : {"imdb", "yelp", "amazon_cells"}) {
    const std::string file = (testing::kShared / "text/sentences" / (std::string(name) + "_labelled.txt")).string();
    const OpenedDataset split("text-file", {{"path", file}, {"header", false}, {"text", "1"}, {"label", "2"}});
    EXPECT_EQ(split.info.size, 1000) << name;
    EXPECT_EQ(torch::bincount(split.dataset->labels())[1].item<std::int64_t>(), 500) << name;
  }
}

}  // namespace
}  // namespace nmlbench
