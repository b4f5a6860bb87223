// How a shared library announces its plugins: one constant symbol, `nmlbench_plugin`.
//
//   class MyTuner : public nmlbench::GradientTuner { public: static constexpr nmlbench::ParamSpec kParams[] = {...}; };
//
//   NMLBENCH_PLUGINS("my-library", "1.0.0", "MIT", "https://...",
//                    nmlbench::entry<MyTuner>("my-tuner", 1, "one-line summary", "where it is from"));
//
// The descriptor is plain data: the harness reads and checks it before any C++ object crosses the boundary. A library
// is loaded once and never unloaded. See README, "Write a plugin".
#pragma once

#include <nmlbench/dataset.h>
#include <nmlbench/encoder.h>
#include <nmlbench/encoder_tuner.h>
#include <nmlbench/noise.h>
#include <nmlbench/params.h>
#include <nmlbench/tuner.h>

#include <cstdint>
#include <memory>
#include <type_traits>

namespace nmlbench {

// Raised whenever a header in this folder changes what plugins compile against. Must match exactly.
inline constexpr std::uint32_t kAbiVersion = 12;
inline constexpr char kMagic[8] = {'n', 'm', 'l', 'b', 'p', 'l', 'u', 'g'};

#define NMLBENCH_TEXT_(x) #x
#define NMLBENCH_TEXT(x) NMLBENCH_TEXT_(x)
#ifdef _GLIBCXX_DEBUG
#define NMLBENCH_STL_DEBUG 1
#else
#define NMLBENCH_STL_DEBUG 0
#endif
#ifndef _GLIBCXX_USE_CXX11_ABI
#define _GLIBCXX_USE_CXX11_ABI 1
#endif
// What has to be equal on both sides for C++ objects to cross; compared as text, "key=value" pairs.
#define NMLBENCH_BUILD_STAMP                                                                          \
  "torch=" TORCH_VERSION " cxx11abi=" NMLBENCH_TEXT(_GLIBCXX_USE_CXX11_ABI) " cxxabi=" NMLBENCH_TEXT( \
      __GXX_ABI_VERSION) " stl-debug=" NMLBENCH_TEXT(NMLBENCH_STL_DEBUG)

enum class PluginKind : std::uint32_t { encoder, noise, tuner, dataset };

// One plugin. `revision` belongs to the identity of results: raise it when numbers can change.
struct PluginEntry {
  PluginKind kind;
  std::uint32_t revision;
  const char* name;       // lower-case kebab, stable for ever
  const char* summary;    // one line
  const char* reference;  // paper, equation or URL
  const ParamSpec* params;
  std::uint64_t param_count;
  const Preset* presets;
  std::uint64_t preset_count;
  // The one that belongs to `kind`, of tuners one of two; the others are null. No I/O, threads or CUDA in constructors.
  std::unique_ptr<Dataset> (*make_dataset)(const Params&);
  std::shared_ptr<Encoder> (*make_encoder)(const Params&);
  std::unique_ptr<NoiseModel> (*make_noise)(const Params&);
  std::unique_ptr<Tuner> (*make_tuner)(const Params&);
  std::unique_ptr<EncoderTuner> (*make_encoder_tuner)(const Params&);
};

// Fields up to `build_stamp` keep their place for ever: they are read before the rest is trusted.
struct PluginLibrary {
  char magic[8];
  std::uint32_t abi_version;
  std::uint32_t struct_size;
  const char* build_stamp;
  const char* name;
  const char* version;
  const char* licence;
  const char* homepage;
  const PluginEntry* entries;
  std::uint64_t entry_count;
};

namespace detail {
template <typename T>
std::unique_ptr<Dataset> make_dataset(const Params& p) {
  return std::make_unique<T>(p);
}
template <typename T>
std::shared_ptr<Encoder> make_encoder(const Params& p) {
  return std::make_shared<T>(p);
}
template <typename T>
std::unique_ptr<NoiseModel> make_noise(const Params& p) {
  return std::make_unique<T>(p);
}
template <typename T>
std::unique_ptr<Tuner> make_tuner(const Params& p) {
  return std::make_unique<T>(p);
}
template <typename T>
std::unique_ptr<EncoderTuner> make_encoder_tuner(const Params& p) {
  return std::make_unique<T>(p);
}
}  // namespace detail

// T has `static constexpr ParamSpec kParams[]` when it takes parameters, `static constexpr Preset kPresets[]` when it
// has presets, and a constructor T(const Params&).
template <typename T>
constexpr PluginEntry entry(const char* name, std::uint32_t revision, const char* summary, const char* reference) {
  PluginEntry e{};
  e.revision = revision;
  e.name = name;
  e.summary = summary;
  e.reference = reference;
  if constexpr (requires { T::kParams; }) {
    e.params = T::kParams;
    e.param_count = std::extent_v<decltype(T::kParams)>;
  }
  if constexpr (requires { T::kPresets; }) {
    e.presets = T::kPresets;
    e.preset_count = std::extent_v<decltype(T::kPresets)>;
  }
  if constexpr (std::is_base_of_v<Dataset, T>) {
    e.kind = PluginKind::dataset;
    e.make_dataset = &detail::make_dataset<T>;
  } else if constexpr (std::is_base_of_v<Encoder, T>) {
    e.kind = PluginKind::encoder;
    e.make_encoder = &detail::make_encoder<T>;
  } else if constexpr (std::is_base_of_v<NoiseModel, T>) {
    e.kind = PluginKind::noise;
    e.make_noise = &detail::make_noise<T>;
  } else if constexpr (std::is_base_of_v<EncoderTuner, T>) {
    e.kind = PluginKind::tuner;
    e.make_encoder_tuner = &detail::make_encoder_tuner<T>;
  } else {
    static_assert(std::is_base_of_v<Tuner, T>,
                  "a plugin derives from Dataset, Encoder, NoiseModel, Tuner or EncoderTuner");
    e.kind = PluginKind::tuner;
    e.make_tuner = &detail::make_tuner<T>;
  }
  return e;
}

}  // namespace nmlbench

// Goes once into each library, at namespace scope.
#define NMLBENCH_PLUGINS(library_name, library_version, library_licence, library_homepage, ...) \
  namespace {                                                                                   \
  constexpr ::nmlbench::PluginEntry nmlbench_entries[] = {__VA_ARGS__};                         \
  }                                                                                             \
  extern "C" NMLBENCH_EXPORT const ::nmlbench::PluginLibrary nmlbench_plugin;                   \
  extern "C" constinit const ::nmlbench::PluginLibrary nmlbench_plugin = {                      \
      {'n', 'm', 'l', 'b', 'p', 'l', 'u', 'g'},                                                 \
      ::nmlbench::kAbiVersion,                                                                  \
      sizeof(::nmlbench::PluginLibrary),                                                        \
      NMLBENCH_BUILD_STAMP,                                                                     \
      library_name,                                                                             \
      library_version,                                                                          \
      library_licence,                                                                          \
      library_homepage,                                                                         \
      nmlbench_entries,                                                                         \
      sizeof(nmlbench_entries) / sizeof(nmlbench_entries[0])}
