// An encoder that somebody exported into one file, with what it wants of images. tools/export_encoder.py writes both.
#pragma once

#include <nmlbench/plugin.h>

#include <filesystem>
#include <optional>
#include <string>

namespace nmlbench::plugins {

inline constexpr char kAboutEntry[] = "nmlbench.json";  // of the file

class ExportedModel : public Encoder {
 public:
  // `path` and `output` of `params`; `name` is the plugin's.
  ExportedModel(std::string name, const Params& params);

  void build(const InputInfo& input, const Stream& init) final;
  // Throws DataError when the file does not say, or says nonsense.
  InputSpec input() const final;
  std::int64_t feature_dim() const final { return dim_; }
  torch::Tensor features(const Batch& batch) final { return checked_run(batch.x); }
  bool trainable() const final { return false; }

 protected:
  const std::filesystem::path& file() const { return file_; }
  const std::string& output() const { return output_; }

  // The text of the file's kAboutEntry, a JSON object; nothing: it has none. Throws DataError for what is no such file.
  virtual std::optional<std::string> about() const = 0;
  virtual void load() = 0;
  // What the model gives for images x, float32 [B, C, size, size]. Any exception is the model's failure.
  virtual torch::Tensor run(const torch::Tensor& x) = 0;

 private:
  torch::Tensor checked_run(const torch::Tensor& x);
  InputSpec read_input() const;

  std::string name_;
  std::filesystem::path file_;
  std::string output_;
  mutable std::optional<InputSpec> spec_;
  std::int64_t dim_ = 0;
};

// Messages of libraries go on for many lines.
std::string first_line(const std::string& text);

}  // namespace nmlbench::plugins
