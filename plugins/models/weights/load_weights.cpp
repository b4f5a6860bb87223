#include "models/weights/load_weights.h"

#include "models/weights/tensor_of.h"
#include "support/weight_files.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <utility>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr std::size_t kNamed = 3;           // tensors of one kind that a message names
constexpr std::size_t kLongestName = 1000;  // std::regex recurses over what it matches

struct OurName {
  std::string name;  // "" for a tensor that is left out
  int part = 0;
  bool transposed = false;
};

class Renamer {
 public:
  explicit Renamer(const std::vector<Rename>& renames) {
    for (const Rename& rename : renames) {
      const std::size_t hash = rename.ours.rfind('#');
      const std::string suffix = hash == std::string::npos ? "0" : rename.ours.substr(hash + 1);
      const bool transposed = suffix == "T";
      rules_.push_back(
          {std::regex(rename.pattern), {rename.ours.substr(0, hash), transposed ? 0 : std::stoi(suffix), transposed}});
    }
  }

  OurName operator()(const std::string& name) const {
    std::smatch match;
    for (const Rule& rule : rules_) {
      if (!std::regex_match(name, match, rule.pattern)) continue;
      OurName ours = rule.ours;
      ours.name = match.format(ours.name);
      return ours;
    }
    return {name};
  }

 private:
  struct Rule {
    std::regex pattern;
    OurName ours;
  };
  std::vector<Rule> rules_;
};

// A tensor in the file by our name, in one part or several.
using Parts = std::map<std::string, std::map<int, StoredTensor>>;

// DataParallel writes all names behind "module.".
bool wrapped(const std::vector<StoredTensor>& tensors) {
  for (const StoredTensor& tensor : tensors) {
    if (tensor.name.rfind("module.", 0) != 0) return false;
  }
  return true;
}

Parts by_our_names(const std::filesystem::path& file, const std::vector<Rename>& renames) {
  const std::vector<StoredTensor> tensors = read_weights(file);
  const std::size_t prefix = wrapped(tensors) ? std::string_view("module.").size() : 0;
  const Renamer rename(renames);
  Parts parts;
  for (StoredTensor tensor : tensors) {
    if (tensor.name.size() > kLongestName) throw DataError(file.string() + ": has a tensor whose name is too long");
    const OurName ours = rename(tensor.name.substr(prefix));
    if (ours.name.empty()) continue;
    if (ours.transposed) {
      std::reverse(tensor.sizes.begin(), tensor.sizes.end());
      std::reverse(tensor.strides.begin(), tensor.strides.end());
    }
    if (!parts[ours.name].emplace(ours.part, tensor).second) {
      throw DataError(file.string() + ": has the tensor \"" + tensor.name + "\" twice");
    }
  }
  return parts;
}

// Undefined when the parts cannot be stacked.
Tensor joined(const std::map<int, StoredTensor>& parts) {
  std::vector<Tensor> tensors;
  for (const auto& [index, part] : parts) {
    tensors.push_back(tensor_of(part).to(torch::kFloat32));
    if (parts.size() == 1) return tensors.front();
    if (tensors.back().dim() == 0 || tensors.back()[0].sizes() != tensors.front()[0].sizes()) return Tensor();
  }
  return torch::cat(tensors);
}

std::vector<std::int64_t> without_ones(torch::IntArrayRef sizes) {
  std::vector<std::int64_t> rest;
  for (const std::int64_t size : sizes) {
    if (size != 1) rest.push_back(size);
  }
  return rest;
}

// "3 tensors are missing (a, b, c)".
class Complaints {
 public:
  void add(const std::string& kind, const std::string& tensor) { of_kind_[kind].push_back(tensor); }
  bool empty() const { return of_kind_.empty(); }
  std::string text() const {
    std::ostringstream out;
    for (const auto& [kind, tensors] : of_kind_) {
      out << (out.tellp() > 0 ? "; " : "") << tensors.size() << (tensors.size() == 1 ? " tensor " : " tensors ") << kind
          << " (";
      for (std::size_t i = 0; i < std::min(kNamed, tensors.size()); ++i) out << (i > 0 ? ", " : "") << tensors[i];
      out << (tensors.size() > kNamed ? ", ..)" : ")");
    }
    return out.str();
  }

 private:
  std::map<std::string, std::vector<std::string>> of_kind_;
};

std::string shape(torch::IntArrayRef sizes) {
  return c10::str(sizes);
}

bool is_counter(const std::string& name) {
  return name.ends_with("num_batches_tracked");
}

// `ours` from the file, or a complaint.
void take(const std::string& name, Tensor& ours, Parts& parts, const Adapt& adapt, Complaints& complaints) {
  const auto found = parts.find(name);
  if (found == parts.end()) {
    if (!is_counter(name)) complaints.add("missing", name);
    return;
  }
  const Tensor theirs = joined(found->second);
  parts.erase(found);
  if (is_counter(name)) return;
  if (!theirs.defined()) return complaints.add("in parts of different shapes", name);
  if (!torch::isfinite(theirs).all().item<bool>()) return complaints.add("with NaN or infinity", name);
  if (without_ones(theirs.sizes()) != without_ones(ours.sizes())) {
    const Tensor adapted = adapt ? adapt(name, theirs, ours.sizes()) : Tensor();
    if (adapted.defined()) return void(ours.copy_(adapted));
    return complaints.add("of another shape", name + " " + shape(theirs.sizes()) + " for " + shape(ours.sizes()));
  }
  ours.copy_(theirs.reshape(ours.sizes()));
}

}  // namespace

void load_weights(torch::nn::Module& module, const std::filesystem::path& file, const std::vector<Rename>& renames,
                  const Adapt& adapt) {
  const torch::NoGradGuard no_grad;
  Parts parts = by_our_names(file, renames);
  Complaints complaints;
  for (auto& item : module.named_parameters()) take(item.key(), item.value(), parts, adapt, complaints);
  for (auto& item : module.named_buffers()) take(item.key(), item.value(), parts, adapt, complaints);
  for (const auto& [name, left] : parts) complaints.add("of no use here", left.begin()->second.name);
  if (!complaints.empty()) {
    throw DataError(file.string() + ": does not fit this encoder: " + complaints.text() +
                    "; are family and variant those of the file?");
  }
}

}  // namespace nmlbench::plugins
