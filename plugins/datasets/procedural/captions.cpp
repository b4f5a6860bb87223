#include "captions.h"

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace nmlbench::plugins {
namespace {

struct NamedColour {
  const char* name;
  float red, green, blue;
};
constexpr NamedColour kColours[] = {
    {"black", 0.1F, 0.1F, 0.1F},   {"grey", 0.5F, 0.5F, 0.5F},   {"white", 0.9F, 0.9F, 0.9F},
    {"red", 0.8F, 0.15F, 0.15F},   {"brown", 0.5F, 0.3F, 0.15F}, {"orange", 0.9F, 0.5F, 0.15F},
    {"yellow", 0.9F, 0.85F, 0.2F}, {"green", 0.2F, 0.7F, 0.2F},  {"olive", 0.5F, 0.5F, 0.15F},
    {"teal", 0.15F, 0.6F, 0.6F},   {"cyan", 0.3F, 0.85F, 0.9F},  {"blue", 0.2F, 0.25F, 0.85F},
    {"navy", 0.15F, 0.15F, 0.5F},  {"purple", 0.5F, 0.2F, 0.6F}, {"pink", 0.9F, 0.5F, 0.75F}};

std::string colour_word(const Colour& c) {
  const char* nearest = "";
  float least = std::numeric_limits<float>::infinity();
  for (const NamedColour& named : kColours) {
    const float red = c[0] - named.red, green = c[1] - named.green, blue = c[2] - named.blue;
    const float distance = red * red + green * green + blue * blue;
    if (distance < least) {
      least = distance;
      nearest = named.name;
    }
  }
  return nearest;
}

std::string shape_word(const Look& look) {
  constexpr const char* kWords[] = {"long",       "three-cornered", "four-cornered",
                                    "five-armed", "six-armed",      "seven-armed"};
  if (look.relief < 0.15F) return "round";
  return kWords[look.lobes - 2];
}

// Wave `wave` (0: the strongest) of the texture: "fine rising stripes".
std::string stripe_words(const Look& look, std::size_t wave) {
  constexpr const char* kRun[] = {"upright", "rising", "level", "falling"};
  const float frequency = look.stripes[wave];
  const auto eighth = std::floor(look.direction[wave] / static_cast<float>(std::numbers::pi / 8));
  const std::string width = frequency < 1.8F ? "broad " : frequency > 2.8F ? "fine " : "";
  return width + kRun[(static_cast<int>(eighth) + 1) / 2 % 4];
}

std::string size_word(const Look& look) {
  return look.size < 0.88F ? "small" : look.size > 1.02F ? "large" : "";
}

std::string place_word(const Look& look) {
  const float x = look.x, y = look.y;
  if (std::max(std::abs(x), std::abs(y)) < 0.06F) return "in the middle";
  if (std::abs(x) > std::abs(y)) return x < 0 ? "to the left" : "to the right";
  return y < 0 ? "at the top" : "at the bottom";
}

const char* medium_word(Domain domain) {
  constexpr const char* kWords[] = {"photo",    "sketch",        "painting",  "clip art",
                                    "negative", "blurred photo", "silhouette"};
  return kWords[static_cast<std::size_t>(domain)];
}

// The words that are there, with a space between.
std::string sentence(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (word.empty()) continue;
    if (!text.empty()) text += ' ';
    text += word;
  }
  return text;
}

}  // namespace

std::string class_noun(std::int64_t id) {
  constexpr std::string_view kConsonants = "bdfgklmnprstvz", kVowels = "aeiou";
  constexpr std::int64_t kSyllables = 14 * 5;
  const auto syllable = [&](std::int64_t i) {
    return std::string{kConsonants[static_cast<std::size_t>(i / 5)], kVowels[static_cast<std::size_t>(i % 5)]};
  };
  // one to one, and neighbours share no syllable: 2731 has no factor in common with 4900
  const std::int64_t scattered = (id * 2731 + 17) % (kSyllables * kSyllables);
  return syllable(scattered / kSyllables) + syllable(scattered % kSyllables);
}

std::string caption_of(const Look& look, Domain domain, std::int64_t class_id, const Stream& draws) {
  const bool coloured = domain != Domain::sketch, striped = domain != Domain::silhouette;
  const std::string medium = medium_word(domain), noun = class_noun(class_id), shape = shape_word(look);
  const std::string size = size_word(look), place = place_word(look);
  const std::string figure = coloured ? colour_word(look.figure) : "";
  const std::string second = coloured && striped ? "and " + colour_word(look.stripe) : "";
  const std::string ground = coloured ? colour_word(look.ground) : "paper";
  const std::string stripes = striped ? stripe_words(look, 0) + " stripes" : "no stripes";
  const std::string more = striped ? "over " + stripe_words(look, 1) + " ones" : "";
  switch (draws.at("template").integers({1}, 6).item<std::int64_t>()) {
    case 0:
      return sentence({medium, "of a", noun});
    case 1:
      return sentence({"a", shape, noun, "with", stripes});
    case 2:
      return sentence({"the", figure, second, noun, "on", ground});
    case 3:
      return sentence({size, noun, place, "of a", medium, "with", stripes, more});
    case 4:
      return sentence({"a", shape, noun, place});
    default:
      return sentence({medium, "of something", size, shape, figure, "with", stripes});
  }
}

}  // namespace nmlbench::plugins
