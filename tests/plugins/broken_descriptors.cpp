// A descriptor that is right except where WRONG_... says otherwise.
#include <nmlbench/plugin.h>

#include <csignal>
#include <cstdlib>

namespace {

using namespace nmlbench;

#if defined(WRONG_crash)
[[maybe_unused]] const int at_load = std::raise(SIGSEGV);
#elif defined(WRONG_exit)
[[maybe_unused]] const int at_load = [] {
  std::exit(0);
  return 0;
}();
#endif

class Nothing : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
#if defined(WRONG_default)
    real("ratio", "2", "").range(0, 1).as(Role::noise_ratio),
#elif defined(WRONG_role)
    real("ratio", "0.2", "").range(0, 1),
#else
    real("ratio", "0.2", "").range(0, 1).as(Role::noise_ratio),
#endif
    choice("preset", "a", "a|b", "")
  };
#ifdef WRONG_preset
  static constexpr Preset kPresets[] = {{"a", ""}, { "b", "rate=0.3" }};
#else
  static constexpr Preset kPresets[] = {{"a", ""}, { "b", "ratio=0.3" }};
#endif
  explicit Nothing(const Params&) {}
  NoiseOutput corrupt(const NoiseInput& input, const Stream&) override {
    return input.targets.clone();
  }
};

#ifdef WRONG_loop
class Mover : public EncoderTuner {
 public:
  static constexpr ParamSpec kParams[] = {real("lr", "0.1", "")};
  explicit Mover(const Params&) {}
};
#endif

constexpr PluginEntry entries[] = {
#ifdef WRONG_loop
    entry<Mover>("mover", 1, "", ""),
#endif
#ifdef WRONG_name
    entry<Nothing>("Not Kebab", 1, "", ""),
#else
    entry<Nothing>("nothing", 1, "", ""),
#endif
#ifdef WRONG_duplicate
    entry<Nothing>("nothing", 1, "", ""),
#endif
};

}  // namespace

extern "C" NMLBENCH_EXPORT const PluginLibrary nmlbench_plugin;
extern "C" constinit const PluginLibrary nmlbench_plugin = {
#ifdef WRONG_magic
    {'n', 'o', 't', 'a', 'p', 'l', 'u', 'g'},
#else
    {'n', 'm', 'l', 'b', 'p', 'l', 'u', 'g'},
#endif
#ifdef WRONG_abi
    kAbiVersion + 1,
#else
    kAbiVersion,
#endif
#ifdef WRONG_size
    8,
#else
    sizeof(PluginLibrary),
#endif
#ifdef WRONG_stamp
    "torch=0.4.0 cxx11abi=0",
#elif defined(WRONG_texts)
    nullptr,
#else
    NMLBENCH_BUILD_STAMP,
#endif
    "broken",
    "1.0.0",
    "MIT",
    "",
    entries,
    std::size(entries)};
