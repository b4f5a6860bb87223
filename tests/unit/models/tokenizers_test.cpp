// Tokenizers against transformers (tests/golden/text/tokens.py), and one line for what they cannot read.
#include "models/text/byte_pair.h"
#include "models/text/sequences.h"
#include "models/text/word_piece.h"
#include "support/golden_json.h"
#include "support/scratch.h"
#include "support/text_file.h"

#include <nmlbench/error.h>

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using nlohmann::json;
using plugins::BytePair;
using plugins::ClipBytePair;
using plugins::Frame;
using plugins::Sequence;
using plugins::sequence_of;
using plugins::Tokenizer;
using plugins::WordPiece;
using ::testing::HasSubstr;
using Tokens = std::vector<std::int64_t>;
namespace fs = std::filesystem;

const fs::path kText = NMLBENCH_SOURCE_DIR "/tests/golden/text";
const fs::path kShared = NMLBENCH_SHARED_DATA;

struct Framed {
  std::shared_ptr<const Tokenizer> tokenizer;
  Frame frame;

  Sequence operator()(const Text& text, std::int64_t longest = 1 << 20) const {
    return sequence_of(text, *tokenizer, frame, longest);
  }
};

Framed bert(const fs::path& vocabulary, bool lower_case = true) {
  auto tokenizer = std::make_shared<WordPiece>(vocabulary, lower_case);
  const std::int64_t cls = tokenizer->special("[CLS]"), sep = tokenizer->special("[SEP]");
  return {tokenizer, {{cls}, {sep}, {sep}, {}}};
}

Framed gpt2(const fs::path& vocabulary, const fs::path& merges) {
  return {std::make_shared<BytePair>(vocabulary, merges, std::vector<std::string>{"<|endoftext|>"}), {}};
}

Framed clip_bytes(const fs::path& merges) {
  const auto tokenizer = std::make_shared<ClipBytePair>(merges);
  const std::int64_t end = tokenizer->end();
  return {tokenizer, {{tokenizer->start()}, {end, end}, {end}, {}}};
}

std::map<std::string, Framed> small() {
  const fs::path vocabulary = kText / "vocab.json", merges = kText / "merges.txt";
  const std::vector<std::string> specials = {"<s>", "</s>", "<unk>", "<pad>", "<mask>"};
  return {{"bert", bert(kText / "vocab.txt")},
          {"bert cased", bert(kText / "vocab.txt", /*lower_case=*/false)},
          {"roberta", {std::make_shared<BytePair>(vocabulary, merges, specials), {{0}, {2, 2}, {2}, {}}}},
          {"gpt2", gpt2(vocabulary, merges)},
          {"clip", clip_bytes(kText / "clip-merges.txt")}};
}

json golden() {
  return golden_json("NMLBENCH_TEXT_TOKENS", kText / "tokens.json");
}

TEST(Tokenizers, EqualTransformers) {
  const auto all = small();
  const json references = golden();
  if (references.is_discarded()) GTEST_SKIP() << "Python had no transformers to make the references";
  const json& expected = references.at("texts");
  ASSERT_GT(expected.size(), 30U);
  for (const json& entry : expected) {
    const auto text = entry.at("text").get<std::string>();
    for (const auto& [name, framed] : all) {
      EXPECT_EQ(framed({text, {}}).tokens, entry.at(name).get<Tokens>()) << name << ": " << entry.at("text");
    }
  }
}

TEST(Tokenizers, PairsAreFramedAndTruncatedAsInTransformers) {
  const auto all = small();
  const json references = golden();
  if (references.is_discarded()) GTEST_SKIP() << "Python had no transformers to make the references";
  const json& expected = references.at("pairs");
  ASSERT_GT(expected.size(), 40U);
  for (const json& entry : expected) {
    const Text text{entry.at("first").get<std::string>(), entry.at("second").get<std::string>()};
    for (const auto& [name, framed] : all) {
      const Sequence got = framed(text, entry.at("longest").get<std::int64_t>());
      EXPECT_EQ(got.tokens, entry.at(name).get<Tokens>()) << name << ": " << entry;
      if (name != "bert") continue;
      Tokens types(got.tokens.size(), 0);
      std::fill(types.begin() + static_cast<std::ptrdiff_t>(got.second), types.end(), 1);
      EXPECT_EQ(types, entry.at("types").get<Tokens>()) << entry;
      EXPECT_EQ(got.truncated, framed(text).tokens.size() > got.tokens.size()) << entry;
    }
  }
}

// With the vocabularies of bert-base-uncased, GPT-2 and CLIP.
TEST(Tokenizers, EqualTransformersOnEverySharedSentence) {
  const fs::path vocab = kShared / "vocab";
  if (!fs::exists(vocab)) GTEST_SKIP() << vocab << " is not there";
  const std::map<std::string, Framed> all = {{"bert", bert(vocab / "bert-base-uncased-vocab.txt")},
                                             {"gpt2", gpt2(vocab / "gpt2-encoder.json", vocab / "gpt2-vocab.bpe")},
                                             {"clip", clip_bytes(vocab / "clip-bpe_simple_vocab_16e6.txt.gz")}};
  const json references = golden();
  if (references.is_discarded()) GTEST_SKIP() << "Python had no transformers to make the references";
  const json& expected = references.at("shared");
  ASSERT_GT(expected.size(), 40U);
  for (const auto& [key, digest] : expected.items()) {
    const std::size_t blank = key.find(' ');
    const Framed& framed = all.at(key.substr(0, blank));
    std::uint64_t state = 0xCBF29CE484222325U;
    const std::string text = nmlbench::read_text(kShared / key.substr(blank + 1), 1 << 30);
    for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
      end = text.find_first_of("\t\n", begin);
      Tokens tokens = framed({text.substr(begin, end - begin), {}}).tokens;
      tokens.push_back(0xFFFFFFFF);
      for (const std::int64_t token : tokens) state = (state ^ static_cast<std::uint64_t>(token)) * 0x100000001B3U;
    }
    EXPECT_EQ(fmt::format("{:016x}", state), digest.get<std::string>()) << key;
  }
}

// The bytes in CLIP's order, those at the end of a word, and the marks.
TEST(Tokenizers, ClipReadsByteByByteWithoutMerges) {
  const ClipBytePair bytes("");
  EXPECT_EQ(bytes.size(), 514);
  EXPECT_EQ(bytes.tokens("A b!  \n7"), (Tokens{256 + 'a' - '!', 256 + 'b' - '!', 256, 256 + '7' - '!'}));
  EXPECT_EQ(bytes.tokens("ab 12"), (Tokens{'a' - '!', 256 + 'b' - '!', 256 + '1' - '!', 256 + '2' - '!'}));
  EXPECT_EQ(bytes.tokens("x<|endoftext|>"), (Tokens{256 + 'x' - '!', bytes.end()}));
  EXPECT_TRUE(bytes.tokens("  ").empty());
}

template <typename Make>
std::string complaint_of(const Make& make) {
  try {
    make();
  } catch (const DataError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

TEST(Tokenizers, TextThatIsNoUtf8IsShown) {
  for (const auto& [name, framed] : small()) {
    for (const char* bytes : {"caf\xE9 au lait", "cut off \xE2\x82", "\xED\xA0\x80 surrogate", "\xC0\x80 long"}) {
      EXPECT_THAT(complaint_of([&] { (void)framed({bytes, {}}); }), HasSubstr("is no UTF-8 at byte")) << name;
    }
  }
  EXPECT_THAT(complaint_of([] {
                (void)small().at("bert")({"caf\xE9", {}});
              }),
              HasSubstr("\"caf\\xe9\" is no UTF-8 at byte 3"));
}

TEST(Tokenizers, OtherFilesAreNoVocabularies) {
  const Scratch scratch;
  const fs::path words = scratch.write("words.txt", "one\ntwo\n"), numbers = scratch.write("v.json", "{\"a\": \"b\"}");
  EXPECT_THAT(complaint_of([&] { WordPiece(words, true); }), HasSubstr("words.txt: has no token \"[UNK]\""));
  EXPECT_THAT(complaint_of([&] { gpt2(words, words); }), HasSubstr("words.txt: is no JSON object of tokens"));
  EXPECT_THAT(complaint_of([&] { gpt2(numbers, words); }), HasSubstr("v.json: the token \"a\" has no number"));
  EXPECT_THAT(complaint_of([&] { gpt2(scratch.write("few.json", "{\"a\": 0}"), words); }),
              HasSubstr("few.json: has no token \"\xC4\x80\", which stands for the byte 0"));
  const fs::path good = kText / "vocab.json";
  EXPECT_THAT(complaint_of([&] { gpt2(good, scratch.write("m.txt", "#version: 0.2\nthree parts here\n")); }),
              HasSubstr("m.txt:2: is no pair of tokens"));
  EXPECT_THAT(complaint_of([&] { gpt2(good, scratch.write("n.txt", "q q\n")); }), HasSubstr("of the merge at "));
  EXPECT_THAT(complaint_of([&] { gpt2(good, scratch / "none.txt"); }), HasSubstr("none.txt: no such file"));
  EXPECT_THAT(complaint_of([&] { ClipBytePair(scratch.write("p.txt", "#version: 0.2\na bc\n")); }),
              HasSubstr("p.txt: has no token \"bc\", of the merge at "));
  EXPECT_THAT(complaint_of([&] { (void)ClipBytePair(good); }), HasSubstr("is no pair of tokens"));
}

}  // namespace
}  // namespace nmlbench::testing
