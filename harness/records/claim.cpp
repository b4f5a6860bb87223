#include "records/claim.h"

#include <nmlbench/error.h>

#include <cmath>
#include <cstdlib>
#include <regex>
#include <sstream>

#include <fmt/format.h>

namespace nmlbench {
namespace {

[[noreturn]] void refuse_claim(const std::string& text, const std::string& why) {
  throw Error(fmt::format("claim \"{}\": {}", text, why));
}

std::string with_single_blanks(const std::string& text) {
  std::istringstream in(text);
  std::string joined;
  for (std::string word; in >> word;) joined += (joined.empty() ? "" : " ") + word;
  return joined;
}

double noise_ratio_in(const std::string& number, const Claim& claim) {
  char* end = nullptr;
  const double ratio = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !(ratio >= 0.0 && ratio <= 1.0))
    refuse_claim(claim.text, fmt::format("\"{}\" is no noise ratio from 0 to 1", number));
  if (claim.form != Claim::Form::better && ratio == 0.0)
    refuse_claim(claim.text, "noise 0 is clean pre-training, with which noisy pre-training is compared");
  return ratio;
}

// Why a text that has none of the forms has none.
std::string what_is_wrong(const std::string& text) {
  std::smatch match;
  if (text.find(" < ") != std::string::npos) return "say which is better: \"B > A\" in place of \"A < B\"";
  const bool compares = text.find(" > ") != std::string::npos;
  if (compares && text.find(" on ") == std::string::npos) return "add \"on id\" or \"on ood\", the test sets";
  if (compares && std::regex_search(text, match, std::regex(" on (\\S+)")) && match[1] != "id" && match[1] != "ood")
    return fmt::format("test sets are \"id\" or \"ood\", not \"{}\"", match[1].str());
  return std::string("expected ") + kClaimForms;
}

}  // namespace

std::string tuner_name(const std::string& label) {
  const std::size_t setting = label.find(" (");
  return setting != std::string::npos && label.ends_with(')') ? label.substr(0, setting) : label;
}

Claim parse_claim(const std::string& written) {
  static const std::regex kBetter("(\\S.*) > (\\S.*) on (id|ood)(?: at noise (\\S+))?");
  static const std::regex kNoise("noise(?: (\\S+))? (hurts|helps) (id|ood)(?: with (\\S.*))?");
  Claim claim;
  claim.text = with_single_blanks(written);
  std::smatch match;
  if (std::regex_match(claim.text, match, kNoise)) {
    claim.form = match[2] == "hurts" ? Claim::Form::hurts : Claim::Form::helps;
    claim.kind = match[3];
    claim.tuner = match[4];
    if (match[1].matched) claim.ratio = noise_ratio_in(match[1], claim);
    return claim;
  }
  if (!std::regex_match(claim.text, match, kBetter)) refuse_claim(claim.text, what_is_wrong(claim.text));
  claim.tuner = match[1];
  claim.other = match[2];
  claim.kind = match[3];
  if (match[4].matched) claim.ratio = noise_ratio_in(match[4], claim);
  if (claim.tuner == claim.other) refuse_claim(claim.text, "a tuner is compared with itself");
  return claim;
}

}  // namespace nmlbench
