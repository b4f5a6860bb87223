// The matrices of the paper's studies: they plan at once and say what is missing, and run on stand-ins by the command
// that stands at the top of each.
#include "support/program.h"

#include <chrono>
#include <fstream>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;

std::string file_of(const std::string& name) {
  return NMLBENCH_SOURCE_DIR "/matrices/" + name + ".toml";
}

// The words of the command in a matrix' leading comment, without "nmlbench", as a shell would give them.
std::vector<std::string> command_of(const std::string& name) {
  std::ifstream in(file_of(name));
  std::string command;
  bool found = false;
  for (std::string line; std::getline(in, line);) {
    found = found || line.find("nmlbench run") != std::string::npos;
    if (!found) continue;
    const bool goes_on = line.ends_with("\\");
    command += line.substr(1, line.size() - 1 - (goes_on ? 1 : 0)) + " ";
    if (!goes_on) break;
  }
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  for (const char c : command) {
    if (c == '\'') quoted = !quoted;
    if (c == '\'' || (c == ' ' && !quoted && word.empty())) continue;
    if (c != ' ' || quoted) {
      word += c;
      continue;
    }
    words.push_back(std::exchange(word, ""));
  }
  if (words.size() < 3) return {};
  words.erase(words.begin());
  words[1] = file_of(name);
  for (std::string& text : words) {  // paths in the source tree
    const std::size_t path = text.find("\"tests/");
    if (path != std::string::npos) text.insert(path + 1, NMLBENCH_SOURCE_DIR "/");
  }
  return words;
}

struct Study {
  const char* matrix;
  std::vector<const char*> missing;  // what it names, under `data`
};
void PrintTo(const Study& study, std::ostream* out) {
  *out << study.matrix;
}

const std::vector<const char*> kImages = {"cifar-10", "flowers-102", "pcam", "domainnet", "imagenet"};
const std::vector<const char*> kTexts = {"text/glue/QQP", "glue-x/imdb.csv", "glue-x/snli_1.0",
                                         "weights/roberta-large"};

class PaperMatrix : public ::testing::TestWithParam<Study> {};

TEST_P(PaperMatrix, PlansAtOnceAndSaysWhatIsMissing) {
  const Scratch scratch;
  const auto begin = std::chrono::steady_clock::now();
  const Finished finished = run(scratch, {"plan", file_of(GetParam().matrix)});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_EQ(finished.status, 2) << "nothing of it can run here";
  EXPECT_LT(seconds, 30) << "5 s on an idle machine";
  for (const char* folder : GetParam().missing)
    EXPECT_THAT(finished.out, HasSubstr(std::string("/data/") + folder)) << "is not named";
}

TEST_P(PaperMatrix, RunsOnStandInsByItsOwnCommand) {
  const Scratch scratch;
  const std::vector<std::string> command = command_of(GetParam().matrix);
  ASSERT_FALSE(command.empty()) << "no command at the top of " << GetParam().matrix;
  const Finished finished = run(scratch, command);
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr(" 0 failed"));
}

INSTANTIATE_TEST_SUITE_P(All, PaperMatrix,
                         ::testing::Values(Study{"paper-supervised", kImages}, Study{"paper-clip", kImages},
                                           Study{"paper-vision-models", kImages},
                                           Study{"paper-language-models", kTexts}),
                         [](const auto& info) {
                           std::string name = info.param.matrix;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace nmlbench::testing
