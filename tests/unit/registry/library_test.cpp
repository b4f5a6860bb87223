#include "registry/registry.h"
#include "support/plugins.h"
#include "support/scratch.h"

#include <cstdlib>
#include <iostream>
#include <iterator>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace nmlbench {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using testing::Scratch;

std::filesystem::path test_plugin(const std::string& name) {
  return std::filesystem::path(NMLBENCH_TEST_PLUGIN_DIR) / name / (name + ".so");
}

std::string refusal(const std::filesystem::path& file) {
  try {
    Registry::load_file(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

struct Wrong {
  const char* name;
  const char* message;
};
void PrintTo(const Wrong& value, std::ostream* out) {
  *out << value.name;
}
class WrongDescriptor : public ::testing::TestWithParam<Wrong> {};
INSTANTIATE_TEST_SUITE_P(Kinds, WrongDescriptor,
                         ::testing::Values(Wrong{"magic", "no nmlbench plugin"},
                                           Wrong{"abi", "this nmlbench has version"}, Wrong{"stamp", "torch=0.4.0"},
                                           Wrong{"size", "8 bytes"}, Wrong{"texts", "missing texts"},
                                           Wrong{"default", "default of \"ratio\""}, Wrong{"preset", "rate=0.3"},
                                           Wrong{"duplicate", "twice"}, Wrong{"name", "Not Kebab"},
                                           Wrong{"role", "add .as(Role::noise_ratio)"},
                                           Wrong{"loop", "put NMLBENCH_ENCODER_TUNER_PARAMS first"}),
                         [](const auto& info) { return info.param.name; });

TEST_P(WrongDescriptor, IsRefusedWithAReason) {
  EXPECT_THAT(refusal(test_plugin(std::string("wrong_") + GetParam().name)), HasSubstr(GetParam().message));
}

TEST(Library, AForeignLibraryIsRefusedBeforeItsCodeRuns) {
  EXPECT_THAT(refusal(test_plugin("no_plugin")), HasSubstr("does not export"));
  EXPECT_EQ(std::getenv("NMLBENCH_TEST_FOREIGN_CODE_RAN"), nullptr);
}

// Copies of a library with flipped bits: each is usable, or refused with a sentence that names it; none ends the
// program.
void expect_survived(int copies) {
  const Scratch scratch;
  const std::string whole = testing::read_text(test_plugin("misbehaving"));
  std::mt19937_64 random(340);
  int deadly = 0;
  for (int i = 0; i < copies; ++i) {
    std::string damaged = whole;
    for (int bits = 0; bits < 4; ++bits) damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    const std::filesystem::path file = scratch.write("damaged" + std::to_string(i) + ".so", damaged);
    const std::string outcome = refusal(file);
    EXPECT_THAT(outcome, AnyOf(Eq("accepted"), HasSubstr(file.filename().string())));
    deadly += outcome.find("crashes when it is loaded") != std::string::npos ? 1 : 0;
  }
  std::cout << deadly << " of " << copies << " would have ended the program\n";
}

// In a process that leaves without ending what it loaded, as the program does: a flipped bit of an accepted copy may
// lie in what would run then.
TEST(Library, OneThatCrashesIsRefused) {
  const auto survive = [] {
    expect_survived(25);
    std::_Exit(::testing::Test::HasFailure() ? 1 : 0);
  };
  EXPECT_EXIT(survive(), ::testing::ExitedWithCode(0), "");
}

// Initialisers that crash or exit; the libraries behind them are used.
TEST(Library, OneWhoseInitialisersEndTheProgramIsNamed) {
  const Scratch scratch;
  std::filesystem::copy(test_plugin("wrong_crash"), scratch / "a.so");
  std::filesystem::copy(test_plugin("wrong_exit"), scratch / "b.so");
  std::filesystem::copy(test_plugin("misbehaving"), scratch / "c.so");
  const Registry registry = Registry::load({scratch.path()});
  EXPECT_NE(registry.find(PluginKind::tuner, "throws-in-fit"), nullptr);
  ASSERT_EQ(registry.rejected().size(), 2U);
  EXPECT_THAT(registry.rejected()[0].reason, HasSubstr("crashes when it is loaded: signal 11"));
  EXPECT_THAT(registry.rejected()[1].reason, HasSubstr("ends the program when it is loaded (exit status 0)"));
}

TEST(Library, AFolderThatOthersCanWriteIsRefused) {
  const Scratch scratch;
  EXPECT_NO_THROW(require_private(scratch.path()));
  EXPECT_NO_THROW(require_private(scratch / "absent"));
  std::filesystem::permissions(scratch.path(), std::filesystem::perms::others_write,
                               std::filesystem::perm_options::add);
  try {
    require_private(scratch.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("--allow-shared-plugins"));
  }
}

TEST(Library, ALibraryThatOthersCanWriteIsRefused) {
  const Scratch scratch;
  const std::filesystem::path file = scratch.write("a.so", "");
  EXPECT_NO_THROW(require_private(scratch.path()));
  std::filesystem::permissions(file, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  try {
    require_private(scratch.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("a.so: others can write this plugin library"));
  }
}

TEST(Library, WhatIsNoLibraryIsRefused) {
  const Scratch scratch;
  EXPECT_THAT(refusal(scratch.write("text.so", "hello")), HasSubstr("not a shared library"));
  EXPECT_THAT(refusal(scratch.write("empty.so", "")), HasSubstr("not a shared library"));
  EXPECT_THAT(refusal(scratch / "absent.so"), HasSubstr("absent.so"));
  EXPECT_THAT(refusal(scratch.path()), HasSubstr("is not a file"));
  const std::string whole = testing::read_text(test_plugin("misbehaving"));
  for (const std::size_t length : {std::size_t{20}, std::size_t{100}, whole.size() / 2}) {
    EXPECT_NE(refusal(scratch.write("cut.so", whole.substr(0, length))), "accepted") << length;
  }
}

TEST(Library, OneBadLibraryDoesNotStopTheOthers) {
  const Scratch scratch;
  scratch.write("bad.so", "hello");
  std::filesystem::copy(test_plugin("misbehaving"), scratch / "misbehaving.so");
  const Registry registry = Registry::load({scratch.path(), scratch / "no-such-folder"});
  EXPECT_NE(registry.find(PluginKind::tuner, "throws-in-fit"), nullptr);
  ASSERT_EQ(registry.rejected().size(), 1U);
  EXPECT_THAT(registry.rejected()[0].file.string(), HasSubstr("bad.so"));
}

TEST(Library, AStrippedPluginIsStillOne) {
  const Scratch scratch;
  const auto file = scratch / "stripped.so";
  std::filesystem::copy(test_plugin("misbehaving"), file);
  if (std::system(("strip " + file.string()).c_str()) != 0) GTEST_SKIP() << "strip is not there";
  EXPECT_EQ(refusal(file), "accepted");
}

TEST(Library, TwoOfOneNameAreAnErrorThatNamesBothFiles) {
  const Scratch scratch;
  std::filesystem::copy(test_plugin("misbehaving"), scratch / "one.so");
  std::filesystem::copy(test_plugin("misbehaving"), scratch / "two.so");
  try {
    Registry::load({scratch.path()});
    FAIL();
  } catch (const DuplicatePlugin& error) {
    EXPECT_THAT(error.what(), HasSubstr("one.so"));
    EXPECT_THAT(error.what(), HasSubstr("two.so"));
  }
}

TEST(Library, TheSameFileThroughALinkIsNoDuplicate) {
  const Scratch scratch;
  std::filesystem::create_symlink(test_plugin("misbehaving"), scratch / "link.so");
  const Registry registry = Registry::load({scratch.path(), test_plugin("misbehaving").parent_path()});
  EXPECT_TRUE(registry.rejected().empty());
  EXPECT_EQ(registry.items().size(), Registry::load_file(test_plugin("misbehaving")).items().size());
}

TEST(Library, AThrowingFactoryIsAnErrorWithThePluginsName) {
  const Registry registry = Registry::load_file(test_plugin("misbehaving"));
  const auto resolved = registry.expand(PluginKind::noise, testing::reference("throws-in-factory")).at(0);
  try {
    make_noise(resolved);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("throws-in-factory"));
    EXPECT_THAT(error.what(), HasSubstr("the factory is closed"));
  }
}

TEST(Bundled, EveryPluginIsThere) {
  EXPECT_TRUE(testing::bundled().rejected().empty());
  for (const char* name : {"linear-probe", "mlp", "nmtune", "logistic", "ridge", "knn", "ncm", "full-finetune", "lora",
                           "bitfit", "lp-ft", "wise-ft"})
    EXPECT_NE(testing::bundled().find(PluginKind::tuner, name), nullptr);
  for (const char* name : {"procedural", "idx", "cifar", "features"})
    EXPECT_NE(testing::bundled().find(PluginKind::dataset, name), nullptr);
  for (const char* name : {"resnet-tiny", "pixels", "identity"})
    EXPECT_NE(testing::bundled().find(PluginKind::encoder, name), nullptr);
  for (const char* name : {"clean", "symmetric"}) EXPECT_NE(testing::bundled().find(PluginKind::noise, name), nullptr);
}

TEST(Expand, PresetsStandBetweenDefaultsAndTheUser) {
  const auto paper = testing::plugin(PluginKind::tuner, "nmtune", {{"preset", "paper"}});
  EXPECT_EQ(paper.params.real("covariance"), 0.01);
  EXPECT_EQ(paper.params.integer("top_k"), 1);
  const auto mixed = testing::plugin(PluginKind::tuner, "nmtune", {{"covariance", 0.5}, {"preset", "paper"}});
  EXPECT_EQ(mixed.params.real("covariance"), 0.5);
  EXPECT_EQ(mixed.params.real("consistency"), 0.01);
  EXPECT_EQ(testing::plugin(PluginKind::tuner, "nmtune").params.real("covariance"), 0.04);
}

TEST(Expand, AxesMultiplyAndEqualNumbersAreOneIdentity) {
  const auto axis = [](std::vector<double> values) {
    std::vector<Value> list;
    for (const double v : values) list.emplace_back().data = v;
    return list;
  };
  const auto all = testing::bundled().expand(
      PluginKind::tuner,
      testing::reference("linear-probe", {{"lr", axis({0.1, 0.01, 0.001})}, {"weight_decay", axis({0.0, 0.1})}}));
  ASSERT_EQ(all.size(), 6U);
  EXPECT_EQ(all[1].params.real("weight_decay"), 0.1);  // the last axis runs fastest
  EXPECT_EQ(all[0].stack_key, all[5].stack_key);       // per-head parameters share a stack
  EXPECT_NE(all[0].canonical, all[5].canonical);
  EXPECT_EQ(testing::plugin(PluginKind::tuner, "mlp", {{"lr", std::int64_t{1}}}).canonical,
            testing::plugin(PluginKind::tuner, "mlp", {{"lr", 1.0}}).canonical);
}

// Children of this process that have ended leave their page faults.
long faults_of_children() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

TEST(Library, ABundledOneIsTriedOnceAndAStrangersEachTime) {
  const Scratch scratch;
  const std::filesystem::path opened = scratch / "cache/plugins";
  const Registry first = Registry::load({NMLBENCH_PLUGIN_DIR}, opened);
  const auto marks = [&] {
    return std::distance(std::filesystem::directory_iterator(opened), std::filesystem::directory_iterator());
  };
  EXPECT_EQ(static_cast<std::size_t>(marks()), first.files().size());

  const long before = faults_of_children();
  Registry::load({NMLBENCH_PLUGIN_DIR}, opened);
  EXPECT_EQ(faults_of_children(), before);  // no child was needed

  const std::filesystem::path stranger = scratch / "stranger";
  std::filesystem::create_directory(stranger);
  std::filesystem::copy(test_plugin("misbehaving"), stranger / "misbehaving.so");
  for (int i = 0; i < 2; ++i) {
    const long before_stranger = faults_of_children();
    Registry::load({stranger}, opened);
    EXPECT_GT(faults_of_children(), before_stranger);
  }
  EXPECT_EQ(static_cast<std::size_t>(marks()), first.files().size());
}

}  // namespace
}  // namespace nmlbench
