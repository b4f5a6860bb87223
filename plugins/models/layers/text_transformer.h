// A small transformer that reads captions word by word, from their bytes.
#pragma once

#include <nmlbench/dataset.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <string>
#include <vector>

#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

namespace nmlbench::plugins {

inline constexpr std::size_t kWordBytes = 8;
inline constexpr std::size_t kCaptionBytes = 128;  // of a caption that are read

// Captions cut at spaces, longer words every kWordBytes bytes: B of them -> int64 [B, W, kWordBytes], UTF-8 bytes + 1
// and zeros after a word's end; W is the largest number of words of a caption, at least 1 and at most `most`: later
// words are left out.
torch::Tensor words_of(const std::vector<Text>& captions, std::size_t most);

struct TextShape {
  std::int64_t width = 64;
  std::int64_t layers = 2;
  std::int64_t heads = 4;     // a divisor of the width
  std::int64_t context = 32;  // words that are read
};

// A word is the sum of vectors that its bytes have at their places. Then pre-norm blocks of self-attention over all
// words and a GELU layer of 4 width (Radford et al., ICML 2021, without the causal mask: nothing is generated), and the
// mean over a caption's words. Padding is neither attended nor averaged. Over single bytes the blocks would cost five
// times as much and have to learn spelling first.
class TextTransformerImpl : public torch::nn::Module {
 public:
  explicit TextTransformerImpl(const TextShape& shape);

  // As CLIP draws, all normal: positions 0.01, weights by fan-in, those that write into the residual stream divided by
  // sqrt(2 layers); biases 0. But words begin at unit scale instead of 0.02: next to the blocks' outputs they would be
  // lost in the residual stream for the first epochs. Each is drawn from the stream of its name in the encoder, which
  // registered this module as `name`.
  void initialise(const Stream& init, const std::string& name);

  // B captions -> float32 [B, width]; zeros for a caption without words. The residual stream is float32 also under
  // autocast.
  torch::Tensor forward(const std::vector<Text>& captions);

 private:
  struct Block {
    torch::nn::LayerNorm norm1{nullptr};
    torch::nn::Linear qkv{nullptr}, out{nullptr};
    torch::nn::LayerNorm norm2{nullptr};
    torch::nn::Linear widen{nullptr}, narrow{nullptr};
  };

  Block add_block(std::int64_t index);
  // x float32 [B, W, width]; bias [B, 1, 1, W], hugely negative at padding -> [B, W, width].
  torch::Tensor attend(Block& block, const torch::Tensor& x, const torch::Tensor& bias) const;

  TextShape shape_;
  torch::Tensor embedding_;  // [kWordBytes * 257, width], of a byte at a place in its word
  torch::Tensor position_;   // [context, width], of a word in its caption
  std::vector<Block> blocks_;
  torch::nn::LayerNorm norm_{nullptr};
};
TORCH_MODULE(TextTransformer);

}  // namespace nmlbench::plugins
