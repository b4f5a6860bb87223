// A claim about results, as a matrix or a command line says it. What is averaged and when it counts as decided:
// docs/STATISTICS.md, "Claims".
#pragma once

#include <optional>
#include <string>

namespace nmlbench {

//   TUNER > TUNER on id|ood [at noise RATIO]
//   noise [RATIO] hurts|helps id|ood [with TUNER]
// A tuner is named as boards print it: "nmtune", or one of its settings, "nmtune (lr=0.1)".
struct Claim {
  enum class Form { better, hurts, helps };

  std::string text;  // as it was said, blanks reduced to one
  Form form = Form::better;
  std::string kind;             // of the test sets: "id", "ood"
  std::string tuner;            // A of "A > B"; of a claim about noise whom it is looked at with, "" for all
  std::string other;            // B
  std::optional<double> ratio;  // of noise, as asked for: of "A > B" where both are looked at, else the noisy level
};

inline constexpr const char* kClaimForms =
    "\"A > B on ood\", \"A > B on ood at noise 0.1\", \"noise hurts ood\" or \"noise 0.05 helps id with A\"";

// The name of the tuner without its setting: "nmtune" of "nmtune (lr=0.1)".
std::string tuner_name(const std::string& label);

// Throws Error in one line that names the claim.
Claim parse_claim(const std::string& text);

}  // namespace nmlbench
