// How a network computes: `precision` of `optim` and of [encode], part of the identity of what comes out.
#pragma once

#include <string>

namespace nmlbench {

enum class Precision {
  fp32,  // IEEE float32, on a GPU too
  tf32,  // a GPU's products of float32 with factors rounded to 10 bits of mantissa; convolutions and matrix products
  bf16,  // under autocast
};

inline constexpr const char* kPrecisions = "fp32|tf32|bf16";

// One of kPrecisions, which the caller has checked.
inline Precision precision_named(const std::string& name) {
  return name == "bf16" ? Precision::bf16 : name == "tf32" ? Precision::tf32 : Precision::fp32;
}

inline const char* name_of(Precision precision) {
  return precision == Precision::bf16 ? "bf16" : precision == Precision::tf32 ? "tf32" : "fp32";
}

}  // namespace nmlbench
