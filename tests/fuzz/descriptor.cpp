// A line each: "entry", "param" or "preset" and its fields, which tabs separate. A field that is missing is a null
// pointer or 0. Parameters and presets belong to the entry above them.
#include "fuzz/descriptor.h"

#include "registry/library.h"
#include "support/plugins.h"
#include "support/words.h"

#include <cstdlib>
#include <deque>
#include <set>

#include <fmt/format.h>

namespace nmlbench::fuzz {
namespace {

using Fields = std::vector<std::string>;

const char* text_of(const Fields& fields, std::size_t at) {
  return at < fields.size() ? fields[at].c_str() : nullptr;
}
double number_of(const Fields& fields, std::size_t at) {
  return at < fields.size() ? std::strtod(fields[at].c_str(), nullptr) : 0;
}
template <typename Enumeration>
Enumeration enumerator_of(const Fields& fields, std::size_t at) {
  return static_cast<Enumeration>(at < fields.size() ? std::strtoul(fields[at].c_str(), nullptr, 10) : 0);
}

PluginEntry entry_of(const Fields& fields) {
  PluginEntry entry{};
  entry.kind = enumerator_of<PluginKind>(fields, 1);
  entry.name = text_of(fields, 2);
  entry.summary = text_of(fields, 3);
  entry.reference = text_of(fields, 4);
  const auto made_by = enumerator_of<unsigned>(fields, 5);  // which factories there are, a bit each
  if ((made_by & 1U) != 0) entry.make_encoder = [](const Params&) { return std::shared_ptr<Encoder>(); };
  if ((made_by & 2U) != 0) entry.make_noise = [](const Params&) { return std::unique_ptr<NoiseModel>(); };
  if ((made_by & 4U) != 0) entry.make_tuner = [](const Params&) { return std::unique_ptr<Tuner>(); };
  if ((made_by & 8U) != 0) entry.make_dataset = [](const Params&) { return std::unique_ptr<Dataset>(); };
  if ((made_by & 16U) != 0) entry.make_encoder_tuner = [](const Params&) { return std::unique_ptr<EncoderTuner>(); };
  return entry;
}

ParamSpec param_of(const Fields& fields) {
  ParamSpec spec;
  spec.name = text_of(fields, 1);
  spec.type = enumerator_of<ParamType>(fields, 2);
  spec.role = enumerator_of<Role>(fields, 3);
  const auto flags = enumerator_of<unsigned>(fields, 4);
  spec.varies_in_stack = (flags & 1U) != 0;
  spec.affects_result = (flags & 2U) != 0;
  spec.came_later = (flags & 4U) != 0;
  spec.min = number_of(fields, 5);
  spec.max = number_of(fields, 6);
  spec.doc = text_of(fields, 7);
  spec.choices = text_of(fields, 8);
  spec.unit = text_of(fields, 9);
  spec.default_value = text_of(fields, 10);
  return spec;
}

std::string line_of(const PluginEntry& entry) {
  const int made_by = (entry.make_encoder != nullptr) | (entry.make_noise != nullptr) << 1 |
                      (entry.make_tuner != nullptr) << 2 | (entry.make_dataset != nullptr) << 3 |
                      (entry.make_encoder_tuner != nullptr) << 4;
  return fmt::format("entry\t{}\t{}\t{}\t{}\t{}\n", static_cast<unsigned>(entry.kind), entry.name, entry.summary,
                     entry.reference, made_by);
}

std::string line_of(const ParamSpec& spec) {
  const int flags = spec.varies_in_stack | spec.affects_result << 1 | spec.came_later << 2;
  return fmt::format("param\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}{}\n", spec.name, static_cast<unsigned>(spec.type),
                     static_cast<unsigned>(spec.role), flags, spec.min, spec.max, spec.doc, spec.choices, spec.unit,
                     spec.default_value == nullptr ? "" : std::string("\t") + spec.default_value);
}

}  // namespace

std::vector<std::string> descriptor_seeds() {
  std::vector<std::string> seeds;
  std::set<const LoadedLibrary*> seen;
  for (const Registry::Item& item : testing::bundled().items()) {
    if (!seen.insert(item.library).second) continue;
    std::string text;
    for (std::uint64_t i = 0; i < item.library->descriptor->entry_count; ++i) {
      const PluginEntry& entry = item.library->descriptor->entries[i];
      text += line_of(entry);
      for (std::uint64_t j = 0; j < entry.param_count; ++j) text += line_of(entry.params[j]);
      for (std::uint64_t j = 0; j < entry.preset_count; ++j) {
        text += fmt::format("preset\t{}\t{}\n", entry.presets[j].name, entry.presets[j].values);
      }
    }
    seeds.push_back(text);
  }
  return seeds;
}

void descriptor(std::string_view text, const testing::Scratch&) {
  std::deque<Fields> lines;  // what the pointers lead to stays where it is
  std::deque<std::vector<ParamSpec>> params;
  std::deque<std::vector<Preset>> presets;
  std::vector<PluginEntry> entries;
  for (const std::string& line : split_text(std::string(text), '\n')) {
    const Fields& fields = lines.emplace_back(split_text(line + '\t', '\t'));  // an empty field at the end is one
    if (fields[0] == "entry") {
      entries.push_back(entry_of(fields));
      params.emplace_back();
      presets.emplace_back();
    } else if (fields[0] == "param" && !entries.empty()) {
      params.back().push_back(param_of(fields));
    } else if (fields[0] == "preset" && !entries.empty()) {
      presets.back().push_back({text_of(fields, 1), text_of(fields, 2)});
    }
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].params = params[i].data();
    entries[i].param_count = params[i].size();
    entries[i].presets = presets[i].data();
    entries[i].preset_count = presets[i].size();
  }
  PluginLibrary library{{}, kAbiVersion, sizeof(PluginLibrary), NMLBENCH_BUILD_STAMP, "", "",
                        "", "",          entries.data(),        entries.size()};
  std::copy(std::begin(kMagic), std::end(kMagic), library.magic);
  check_descriptor(library);
}

}  // namespace nmlbench::fuzz
