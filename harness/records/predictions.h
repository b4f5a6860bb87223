// What heads answered for each sample of a test set, packed for the database. The format, with a reader in NumPy:
// docs/DESIGN.md, section 6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nmlbench {

using Bytes = std::vector<std::uint8_t>;

// Names of the formats below; another format gets another name.
inline constexpr std::string_view kLabelEncoding = "zlib-uint";
inline constexpr std::string_view kPredictionEncoding = "zlib-miss-p8";
inline constexpr std::string_view kProbabilityEncoding = "zlib-log-f16";

// What a head answered on one test set.
struct PredictionRow {
  std::string test_set;  // of probabilities, "": training rows that were held out to choose its parameters
  // Of the test set's data (of frozen features: of the names of task and test set) and of its labels as they are
  // scored. Equal for the same samples in the same order.
  std::string samples_digest;
  std::int64_t samples = 0;  // N
  std::int64_t classes = 0;
  std::shared_ptr<const Bytes> labels;  // pack_labels()
  Bytes packed;                         // pack_predictions(), pack_probabilities()
};

// labels [N] in [0, classes) -> zlib of N little-endian unsigned integers of 1, 2 or 4 bytes, the fewest that hold
// `classes`.
Bytes pack_labels(std::span<const std::int64_t> labels, std::int64_t classes);
// Throws Error when the bytes are not `samples` labels in [0, classes).
std::vector<std::int32_t> unpack_labels(std::span<const std::uint8_t> packed, std::int64_t samples,
                                        std::int64_t classes);

// zlib of N integers as above, 0 where the head was right and else 1 + predicted class, and then N bytes, each
// round(255 p) of the probability p that the true class got: off by 1/510 at most. A head that is mostly right takes
// little room.
Bytes pack_predictions(std::span<const std::int64_t> labels, std::span<const std::int64_t> predicted,
                       std::span<const double> p_true, std::int64_t classes);

struct Predictions {
  std::vector<std::int32_t> predicted;  // [N]
  std::vector<std::uint8_t> p_true;     // [N], 255ths
};
// `labels`: what unpack_labels() gave. Throws Error when the bytes are not predictions for as many samples.
Predictions unpack_predictions(std::span<const std::uint8_t> packed, std::span<const std::int32_t> labels,
                               std::int64_t classes);

// The logarithm of each class's probability, samples one after the other -> zlib of as many little-endian IEEE binary16
// numbers: off by 1/2048 of the logarithm at most, of the probability by 1.8e-4.
Bytes pack_probabilities(std::span<const float> log_p);
// [samples * classes]. Throws Error when the bytes are not so many numbers of at most 0.
std::vector<float> unpack_probabilities(std::span<const std::uint8_t> packed, std::int64_t samples,
                                        std::int64_t classes);

}  // namespace nmlbench
