// A baseline for texts without weights: hashed counts of the n-grams of their characters.
#pragma once

#include <nmlbench/dense.h>
#include <nmlbench/encoder.h>
#include <nmlbench/params.h>

#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

namespace nmlbench::plugins {

// Each n-gram adds 1 or -1 to one of D numbers; which of both, and to which number, is decided by its hash (Weinberger
// et al. 2009, eq. 1). Rows have length 1. Of a pair, an n-gram counts as another one for each of: it is in the first
// text only, in the second only, in both. ASCII letters are counted as small ones.
class CharNgrams : public Encoder {
 public:
  static constexpr ParamSpec kParams[] = {
      integer("dim", "1024", "features, D").range(1, 1 << 20),
      integer("shortest", "1", "characters of an n-gram at least").range(1, 16),
      integer("longest", "4", "characters of an n-gram at most").range(1, 16),
  };

  explicit CharNgrams(const Params& params)
      : dim_(params.integer("dim")), shortest_(params.integer("shortest")), longest_(params.integer("longest")) {
    if (shortest_ > longest_) throw Error("char-ngrams: `shortest` is above `longest`");
  }

  void build(const InputInfo& input, const Stream&) override { require_texts(input, "char-ngrams"); }
  InputSpec input() const override { return {}; }
  std::int64_t feature_dim() const override { return dim_; }
  bool trainable() const override { return false; }

  torch::Tensor features(const Batch& batch) override {
    torch::Tensor rows = torch::zeros({static_cast<std::int64_t>(batch.texts.size()), dim_});
    float* row = dense_data<float>(rows);
    for (const Text& text : batch.texts) {
      add(text, row);
      row += dim_;
    }
    return rows.div_(rows.norm(2, 1, /*keepdim=*/true).clamp_min(1e-12));
  }

 private:
  void add(const Text& text, float* row) const {
    const std::string first = padded(text.first), second = text.second ? padded(*text.second) : "";
    const std::vector<std::string_view> of_first = ngrams(first), of_second = ngrams(second);
    std::set<std::string_view> in_first, in_second;
    if (text.second) {
      in_first.insert(of_first.begin(), of_first.end());
      in_second.insert(of_second.begin(), of_second.end());
    }
    for (const std::string_view gram : of_first) count(gram, in_second.count(gram) > 0 ? 'b' : '1', row);
    for (const std::string_view gram : of_second) count(gram, in_first.count(gram) > 0 ? 'b' : '2', row);
  }

  static std::string padded(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return " " + text + " ";
  }

  std::vector<std::string_view> ngrams(std::string_view text) const {
    std::vector<std::size_t> characters;  // where each begins, and the end
    for (std::size_t i = 0; i < text.size(); ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) characters.push_back(i);
    }
    characters.push_back(text.size());
    std::vector<std::string_view> grams;
    for (std::size_t n = static_cast<std::size_t>(shortest_); n <= static_cast<std::size_t>(longest_); ++n) {
      for (std::size_t i = 0; i + n < characters.size(); ++i)
        grams.push_back(text.substr(characters[i], characters[i + n] - characters[i]));
    }
    return grams;
  }

  // FNV-1a with the finish of MurmurHash3: the lower bits choose the number, the highest one the sign.
  void count(std::string_view gram, char where, float* row) const {
    std::uint64_t hash = (0xcbf29ce484222325U ^ static_cast<unsigned char>(where)) * 0x100000001b3U;
    for (const char c : gram) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdU;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53U;
    hash ^= hash >> 33;
    row[hash % static_cast<std::uint64_t>(dim_)] += hash >> 63 != 0 ? 1.0F : -1.0F;
  }

  std::int64_t dim_, shortest_, longest_;
};

}  // namespace nmlbench::plugins
