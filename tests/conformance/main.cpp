// nmlbench-conformance FILE.so [--param KIND/NAME.KEY=VALUE]... [gtest flags]
//
// Loads the library by the same road as the program does and runs every check of its plugins' kinds. What was not
// checked is named at the end with its reason. Status: 0, 1 for a failed check, 2 for bad usage, and 77 (ctest's
// "Skipped") when a plugin could not be tried at all, since it needs parameters (files) and got none.
#include "conformance/subject.h"

#include <nmlbench/plugin.h>

#include <cstdlib>
#include <functional>
#include <iostream>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace nmlbench::conformance {
namespace {

constexpr const char* kNotTried = "Behaviour";  // the name of what stands for all checks of a plugin
constexpr int kSkippedStatus = 77;

struct Setting {
  std::string plugin, key, value;  // plugin: "dataset/idx"
};

class CheckTest : public ::testing::Test {
 public:
  explicit CheckTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

void add_test(const std::string& suite, const std::string& name, std::function<void()> body) {
  ::testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [body = std::move(body)]() -> ::testing::Test* { return new CheckTest(body); });
}

const std::vector<Check>& checks_of(const PluginEntry& entry) {
  switch (entry.kind) {
    case PluginKind::encoder:
      return encoder_checks();
    case PluginKind::noise:
      return noise_checks();
    case PluginKind::tuner:
      return entry.make_encoder_tuner != nullptr ? encoder_tuner_checks() : tuner_checks();
    default:
      return dataset_checks();
  }
}

void check_declaration(const PluginEntry& entry) {
  EXPECT_STRNE(entry.summary, "") << "a one-line summary belongs into the descriptor";
  for (std::uint64_t i = 0; i < entry.param_count; ++i) {
    EXPECT_STRNE(entry.params[i].doc, "") << "parameter " << entry.params[i].name << " has no description";
  }
}

// The value a setting gives, read by the type that the plugin declares.
Value typed(const PluginEntry& entry, const Setting& setting) {
  for (std::uint64_t i = 0; i < entry.param_count; ++i) {
    const ParamSpec& spec = entry.params[i];
    if (setting.key != spec.name) continue;
    if (spec.type == ParamType::integer) return {static_cast<std::int64_t>(std::stoll(setting.value)), {}};
    if (spec.type == ParamType::real) return {std::stod(setting.value), {}};
    if (spec.type == ParamType::boolean) return {setting.value == "true", {}};
  }
  return {setting.value, {}};
}

std::string missing_parameter(const PluginEntry& entry, const PluginRef& ref) {
  for (std::uint64_t i = 0; i < entry.param_count; ++i) {
    const ParamSpec& spec = entry.params[i];
    const bool given =
        std::any_of(ref.values.begin(), ref.values.end(), [&](const auto& v) { return v.first == spec.name; });
    if (spec.default_value == nullptr && !given) return spec.name;
  }
  return "";
}

void add_plugin(const Registry& registry, const Registry::Item& item, const std::vector<Setting>& settings) {
  const PluginEntry& entry = *item.entry;
  const std::string suite = fmt::format("{}/{}", kind_name(entry.kind), entry.name);
  PluginRef ref;
  ref.plugin = entry.name;
  ref.where = {suite, 0, 0, ""};
  for (const Setting& setting : settings) {
    if (setting.plugin == suite) ref.values.emplace_back(setting.key, typed(entry, setting));
  }
  add_test(suite, "DeclaresItself", [&entry] { check_declaration(entry); });
  const std::string missing = missing_parameter(entry, ref);
  if (!missing.empty()) {
    add_test(suite, kNotTried,
             [=] { GTEST_SKIP() << "give --param " << suite << "." << missing << "=VALUE to run its checks"; });
    return;
  }
  const Subject subject{registry.expand(entry.kind, ref).at(0)};
  for (const Check& check : checks_of(entry)) {
    add_test(suite, check.name, [=] { check.run(subject); });
  }
}

// Names what was skipped, and why. Returns whether a plugin was not tried at all.
bool report_skipped() {
  bool not_tried = false;
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const ::testing::TestSuite& suite = *all.GetTestSuite(s);
    for (int t = 0; t < suite.total_test_count(); ++t) {
      const ::testing::TestInfo& test = *suite.GetTestInfo(t);
      if (!test.should_run() || !test.result()->Skipped()) continue;
      std::string why = test.result()->GetTestPartResult(0).message();
      why = why.substr(why.rfind("Skipped\n", 0) == 0 ? 8 : 0);
      why.erase(why.find_last_not_of('\n') + 1);
      fmt::print("not checked: {}.{}: {}\n", suite.name(), test.name(), why);
      not_tried = not_tried || test.name() == std::string(kNotTried);
    }
  }
  return not_tried;
}

Setting parse_setting(const std::string& text) {
  const std::size_t equals = text.find('='), dot = text.rfind('.', equals);
  if (equals == std::string::npos || dot == std::string::npos)
    throw Error("--param " + text + ": expected KIND/NAME.KEY=VALUE");
  return {text.substr(0, dot), text.substr(dot + 1, equals - dot - 1), text.substr(equals + 1)};
}

int run(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  at::set_num_threads(1);
  std::string file;
  std::vector<Setting> settings;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--param" && i + 1 < argc)
      settings.push_back(parse_setting(argv[++i]));
    else if (file.empty() && argument.rfind("--", 0) != 0)
      file = argument;
    else
      throw Error("unknown argument " + argument +
                  "; usage: nmlbench-conformance FILE.so [--param KIND/NAME.KEY=VALUE]...");
  }
  if (file.empty()) throw Error("usage: nmlbench-conformance FILE.so [--param KIND/NAME.KEY=VALUE]...");
  const Registry registry = Registry::load_file(file);
  for (const Registry::Item& item : registry.items()) add_plugin(registry, item, settings);
  const int status = RUN_ALL_TESTS();
  return report_skipped() && status == 0 ? kSkippedStatus : status;
}

}  // namespace
}  // namespace nmlbench::conformance

int main(int argc, char** argv) {
  try {
    return nmlbench::conformance::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "nmlbench-conformance: error: " << error.what() << '\n';
    return 2;
  }
}
