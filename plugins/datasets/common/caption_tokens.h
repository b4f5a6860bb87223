// Captions as encoders read them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace nmlbench::plugins {

// Writes the tokens of the first `most` bytes of a caption: UTF-8 bytes + 1, so that 0 is padding.
template <typename Number>
void write_caption_tokens(std::string_view caption, std::size_t most, Number* out) {
  const std::string_view part = caption.substr(0, most);
  std::transform(part.begin(), part.end(), out,
                 [](char c) { return static_cast<Number>(static_cast<unsigned char>(c) + 1); });
}

}  // namespace nmlbench::plugins
