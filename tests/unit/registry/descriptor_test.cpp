// Descriptors that are wrong in ways that NMLBENCH_PLUGINS does not prevent; tests/fuzz/descriptor.cpp changes others.
#include "registry/library.h"

#include <algorithm>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Descriptor : public ::testing::Test {
 protected:
  Descriptor() {
    entry_.kind = PluginKind::noise;
    entry_.name = "some";
    entry_.summary = entry_.reference = "";
    entry_.params = params_;
    entry_.param_count = std::size(params_);
    entry_.presets = presets_;
    entry_.preset_count = std::size(presets_);
    entry_.make_noise = [](const Params&) { return std::unique_ptr<NoiseModel>(); };
    std::copy(std::begin(kMagic), std::end(kMagic), library_.magic);
  }
  std::string refusal() const {
    try {
      check_descriptor(library_);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  ParamSpec params_[2] = {text("words", "", "what is said"), choice("preset", "a", "a|b", "")};
  Preset presets_[2] = {{"a", ""}, {"b", "words=x"}};
  PluginEntry entry_{};
  PluginLibrary library_{{}, kAbiVersion, sizeof(PluginLibrary), NMLBENCH_BUILD_STAMP, "", "", "", "", &entry_, 1};
};

TEST_F(Descriptor, ThatIsRightIsAccepted) {
  EXPECT_EQ(refusal(), "accepted");
}

// It ended every command that looked for plugins: identities are JSON, which is UTF-8.
TEST_F(Descriptor, ADefaultThatIsNoUtf8IsRefused) {
  params_[0].default_value = "caf\xe9";
  EXPECT_THAT(refusal(), AllOf(HasSubstr("UTF-8"), HasSubstr("caf\\xe9")));
}

TEST_F(Descriptor, APresetThatIsNoUtf8IsRefused) {
  presets_[1].values = "words=caf\xe9";
  EXPECT_THAT(refusal(), HasSubstr("UTF-8"));
}

TEST_F(Descriptor, APresetWithoutANameIsRefused) {
  presets_[0].name = nullptr;
  EXPECT_THAT(refusal(), HasSubstr("missing texts"));
}

TEST_F(Descriptor, ParametersThatAreCountedButNotThereAreRefused) {
  entry_.params = nullptr;
  EXPECT_THAT(refusal(), HasSubstr("missing"));
}

TEST_F(Descriptor, PluginsThatAreCountedButNotThereAreRefused) {
  library_.entries = nullptr;
  EXPECT_THAT(refusal(), HasSubstr("missing"));
}

// std::regex needs the more stack the longer the text.
TEST_F(Descriptor, ANameOfAHundredThousandLettersIsNoCrash) {
  const std::string name(99'000, 'a');
  entry_.name = name.c_str();
  EXPECT_EQ(refusal(), "accepted");
}

TEST_F(Descriptor, NamesAreWordsJoinedByHyphens) {
  for (const char* name : {"", "-a", "a-", "a--b", "A", "a b"}) {
    entry_.name = name;
    EXPECT_THAT(refusal(), HasSubstr("lower-case words")) << name;
  }
}

TEST_F(Descriptor, AParameterThatCameLaterHasADefault) {
  params_[0].default_value = nullptr;
  params_[0].came_later = true;
  EXPECT_THAT(refusal(), HasSubstr("came later"));
}

}  // namespace
}  // namespace nmlbench
