#include "models/clip/names.h"

namespace nmlbench::plugins {
namespace {

// Of one tower: `theirs` and `ours` up to the number of the block.
void add_blocks(std::vector<Rename>& names, const std::string& theirs, const std::string& ours) {
  const std::string layer = theirs + "encoder\\.layers\\.(\\d+)\\.", block = ours + "transformer.resblocks.$1.";
  const char* const parts[] = {"q", "k", "v"};
  for (int part = 0; part < 3; ++part) {
    names.push_back({layer + "self_attn\\." + parts[part] + "_proj\\.(weight|bias)",
                     block + "attn.in_proj_$2#" + std::to_string(part)});
  }
  names.push_back({layer + "self_attn\\.out_proj\\.(.*)", block + "attn.out_proj.$2"});
  names.push_back({layer + "layer_norm(\\d)\\.(.*)", block + "ln_$2.$3"});
  names.push_back({layer + "mlp\\.fc1\\.(.*)", block + "mlp.c_fc.$2"});
  names.push_back({layer + "mlp\\.fc2\\.(.*)", block + "mlp.c_proj.$2"});
}

}  // namespace

std::vector<Rename> clip_names(bool with_text) {
  // OpenAI's own files also hold three numbers, old ones of transformers the numbers of places
  std::vector<Rename> names = {{"input_resolution|context_length|vocab_size|.*\\.position_ids|attn_mask", ""}};
  if (!with_text) {
    names.push_back(
        {"logit_scale|transformer\\..*|token_embedding\\..*|positional_embedding|ln_final\\..*|text_projection(?:\\."
         "weight)?|"
         "text_model\\..*",
         ""});
  }
  names.insert(names.end(), {{"vision_model\\.embeddings\\.class_embedding", "visual.class_embedding"},
                             {"vision_model\\.embeddings\\.patch_embedding\\.(.*)", "visual.conv1.$1"},
                             {"vision_model\\.embeddings\\.position_embedding\\.weight", "visual.positional_embedding"},
                             {"vision_model\\.pre_layrnorm\\.(.*)", "visual.ln_pre.$1"},
                             {"vision_model\\.post_layernorm\\.(.*)", "visual.ln_post.$1"},
                             {"visual_projection\\.weight", "visual.proj#T"},
                             {"text_model\\.embeddings\\.token_embedding\\.(.*)", "token_embedding.$1"},
                             {"text_model\\.embeddings\\.position_embedding\\.weight", "positional_embedding"},
                             {"text_model\\.final_layer_norm\\.(.*)", "ln_final.$1"},
                             {"text_projection\\.weight", "text_projection#T"}});
  add_blocks(names, "vision_model\\.", "visual.");
  add_blocks(names, "text_model\\.", "");
  return names;
}

}  // namespace nmlbench::plugins
