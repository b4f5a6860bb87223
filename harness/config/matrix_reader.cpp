#include "config/matrix_spec.h"
#include "config/overrides.h"
#include "config/stop_reader.h"
#include "config/toml_table.h"
#include "records/columns.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace nmlbench {
namespace {

std::string text_of_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    if (std::filesystem::exists(file, ignored)) throw Error(file.string() + ": is no regular file");
    throw Error(
        fmt::format("{}: no such matrix file; `nmlbench run` without a file runs the quick matrix", file.string()));
  }
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) throw SystemError(file.string(), "read", errno);
  return text;
}

toml::table parse(const MatrixSource& source) {
  const std::string name = source.file.string();
  if (source.text.starts_with("\xFF\xFE") || source.text.starts_with("\xFE\xFF"))
    throw ConfigError({name, 0, 0, ""}, "is UTF-16 text; save it as UTF-8");
  try {
    return toml::parse(source.text, name);
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    throw ConfigError({name, static_cast<int>(begin.line), static_cast<int>(begin.column), ""},
                      std::string(error.description()));
  }
}

// Names are columns of tables, keys of --where and parts of file names.
std::string read_name(TomlTable& table, const char* meaning) {
  std::string name = table.text("name", meaning);
  if (name.find_first_not_of(" \t\r\n") != std::string::npos) return name;
  throw ConfigError(location_of(*table.find("name"), table.key("name")),
                    fmt::format("the name is empty ({}); give one", meaning));
}

std::vector<std::int64_t> read_seeds(TomlTable& matrix) {
  const toml::node& node = matrix.require("seeds", "a list of integers, one replication each");
  if (!node.is_array()) {  // 5 could mean five seeds
    const Value value = to_value(node, matrix.key("seeds"));
    const bool is_seed = std::holds_alternative<std::int64_t>(value.data);
    throw ConfigError(value.where,
                      fmt::format("expected a list of seeds, found {}; for one seed write seeds = [{}], for several "
                                  "seeds = [0, 1, 2]",
                                  value.text(), is_seed ? value.text() : "0"));
  }
  std::vector<std::int64_t> seeds;
  for (const Value& value : matrix.list("seeds", "a list of integers, one replication each")) {
    const auto* seed = std::get_if<std::int64_t>(&value.data);
    if (seed == nullptr || *seed < 0) {
      throw ConfigError(value.where, "expected an integer of at least 0, found " + value.text());
    }
    if (std::find(seeds.begin(), seeds.end(), *seed) != seeds.end()) {
      throw ConfigError(value.where, fmt::format("seed {} is listed twice", *seed));
    }
    seeds.push_back(*seed);
  }
  return seeds;
}

NoiseSpec read_noise_model(TomlTable table) {
  NoiseSpec spec;
  if (table.has("source")) spec.source = table.plugin("source", "");
  spec.model = table.self_as_plugin("source");
  return spec;
}

// { plugin = "...", ... } or a list of such tables: of a [[pretrain]] or a [[task]].
std::vector<NoiseSpec> read_noise(TomlTable& owner) {
  std::vector<NoiseSpec> models;
  const toml::node* node = owner.find("noise");
  if (node == nullptr) return models;
  if (node->is_array()) {
    for (TomlTable& table : owner.tables("noise")) models.push_back(read_noise_model(std::move(table)));
    if (models.empty()) {
      throw ConfigError(location_of(*node, owner.key("noise")),
                        "the list of noise models is empty; leave `noise` out for clean targets");
    }
  } else {
    models.push_back(read_noise_model(owner.table("noise")));
  }
  return models;
}

// A table of parameters that is no plugin.
PluginRef read_parameters(TomlTable& parent, std::string_view name) {
  PluginRef ref;
  TomlTable table = parent.table(name);
  ref.where = table.where();
  for (const auto& [key, value] : *parent.find(name)->as_table()) {
    ref.values.emplace_back(std::string(key.str()), to_value(value, table.key(key.str())));
  }
  return ref;
}

std::vector<std::string> read_names(TomlTable& table, std::string_view key) {
  std::vector<std::string> names;
  if (!table.has(key)) return names;
  for (const Value& value : table.list(key, "")) {
    const auto* name = std::get_if<std::string>(&value.data);
    if (name == nullptr || name->empty()) throw ConfigError(value.where, "expected a name, found " + value.text());
    if (std::find(names.begin(), names.end(), *name) != names.end()) {
      throw ConfigError(value.where, fmt::format("\"{}\" is listed twice", *name));
    }
    names.push_back(*name);
  }
  return names;
}

std::vector<double> read_shares(TomlTable& table, std::string_view key) {
  std::vector<double> shares;
  if (!table.has(key)) return shares;
  for (const Value& value : table.list(key, "")) {
    const double share = as_real(value);
    if (!(share >= 0.0 && share <= 1.0)) {
      throw ConfigError(value.where, fmt::format("{} is outside [0, 1] (share of the targets)", share));
    }
    shares.push_back(share);
  }
  return shares;
}

StatedSpec read_stated(TomlTable table) {
  StatedSpec spec;
  spec.where = table.where();
  spec.encoders = read_names(table, "encoder");
  spec.datasets = read_names(table, "dataset");
  spec.noises = read_names(table, "noise");
  spec.noise_ratios = read_shares(table, "noise_ratio");
  spec.realised_rates = read_shares(table, "realised_rate");
  for (const char* key : {"encoder", "dataset", "noise", "noise_ratio", "realised_rate"}) table.find(key);
  table.reject_unknown();
  if (spec.noises.empty() != spec.noise_ratios.empty()) {
    throw ConfigError(spec.where, spec.noises.empty() ? "states a noise_ratio of no noise; add noise = \"symmetric\""
                                                      : "states noise without its noise_ratio; add noise_ratio = 0.1");
  }
  if (!spec.realised_rates.empty() && spec.realised_rates.size() != spec.noise_ratios.size()) {
    throw ConfigError(spec.where, fmt::format("states {} realised_rate for {} noise_ratio; give one for each",
                                              spec.realised_rates.size(), spec.noise_ratios.size()));
  }
  for (std::size_t i = 1; i < spec.noise_ratios.size(); ++i) {
    if (std::count(spec.noise_ratios.begin(), spec.noise_ratios.begin() + static_cast<std::ptrdiff_t>(i),
                   spec.noise_ratios[i]) > 0) {
      throw ConfigError(spec.where, fmt::format("noise_ratio {} is listed twice", spec.noise_ratios[i]));
    }
  }
  return spec;
}

PretrainSpec read_pretrain(TomlTable table) {
  PretrainSpec spec;
  spec.where = table.where();
  spec.encoder = table.plugin("encoder", "the encoder to pre-train or to use as it is");
  if (table.has("stated")) spec.stated = read_stated(table.table("stated"));
  if (table.has("dataset")) spec.dataset = table.plugin("dataset", "");
  if (table.has("validation")) spec.validation = table.plugin("validation", "");
  spec.noise = read_noise(table);
  if (table.has("optim")) {
    spec.optim = read_parameters(table, "optim");
  } else {
    spec.optim.where = spec.where;
  }
  spec.zero_shot.where = spec.where;
  if (table.has("zero_shot")) spec.zero_shot = read_parameters(table, "zero_shot");
  for (const char* key : {"dataset", "optim", "stated", "validation"}) table.find(key);
  table.reject_unknown();
  if (!spec.dataset && (!spec.noise.empty() || !spec.optim.values.empty())) {
    throw ConfigError(spec.where,
                      "has noise or optim but no dataset to pre-train on; add `dataset`, or, when the encoder was "
                      "pre-trained elsewhere, say how: stated = { noise = \"symmetric\", noise_ratio = [0, 0.1] }");
  }
  if (spec.validation && !spec.dataset) {
    throw ConfigError(spec.validation->where,
                      "measures the head that pre-training leaves, and there is no `dataset` to pre-train on");
  }
  if (!spec.zero_shot.values.empty() && !spec.validation) {
    throw ConfigError(spec.zero_shot.where, "is about classes of a `validation` set, and there is none; add it");
  }
  if (spec.dataset && spec.stated) {
    throw ConfigError(spec.stated->where,
                      "states how the encoder was pre-trained elsewhere, and `dataset` pre-trains it here; remove one");
  }
  return spec;
}

TestSpec read_test(TomlTable table) {
  TestSpec spec;
  spec.where = table.where();
  table.require("kind", "\"id\" or \"ood\"");
  spec.ood = table.choice_or("kind", "id|ood", "") == "ood";
  spec.name = table.text_or("name", "");
  spec.data = table.plugin("data", "the test split");
  table.reject_unknown();
  return spec;
}

TaskSpec read_task(TomlTable table) {
  TaskSpec spec;
  spec.where = table.where();
  spec.name = read_name(table, "how results call this task");
  spec.train = table.plugin("train", "the training split");
  spec.fractions = {1.0};
  if (table.has("fraction")) {
    spec.fractions.clear();
    for (const Value& value : table.list("fraction", "")) {
      const double fraction = as_real(value);
      if (!(fraction > 0.0 && fraction <= 1.0)) {
        throw ConfigError(value.where, fmt::format("{} is outside (0, 1] (fraction of the training rows)", fraction));
      }
      if (std::any_of(spec.fractions.begin(), spec.fractions.end(),
                      [&](double other) { return same_number(other, fraction); })) {
        throw ConfigError(value.where, fmt::format("fraction {} is listed twice", fraction));
      }
      spec.fractions.push_back(fraction);
    }
  }
  table.find("fraction");
  if (table.has("views")) spec.views = read_parameters(table, "views");
  spec.noise = read_noise(table);
  for (TomlTable& test : table.tables("test")) spec.tests.push_back(read_test(std::move(test)));
  if (spec.tests.empty()) throw ConfigError(spec.where, "has no [[task.test]], so nothing would be measured");
  table.reject_unknown();
  return spec;
}

ExcludeSpec read_exclude(TomlTable table) {
  ExcludeSpec spec;
  spec.where = table.where();
  for (const std::string& column : exclude_columns()) {
    if (table.has(column)) spec.columns.emplace_back(column, table.list(column, ""));
    table.find(column);
  }
  table.reject_unknown();
  if (spec.columns.empty()) throw ConfigError(spec.where, "names no column, so it would exclude every cell");
  return spec;
}

void reject_repeated_task_names(const std::vector<TaskSpec>& tasks) {
  std::set<std::string> names;
  for (const TaskSpec& task : tasks) {
    if (!names.insert(task.name).second) {
      throw ConfigError(task.where,
                        fmt::format("two tasks are called \"{}\"; results could not be told apart", task.name));
    }
  }
}

}  // namespace

const std::vector<std::string>& exclude_columns() {
  static const std::vector<std::string> kColumns = [] {
    std::vector<std::string> names;
    for (const CellColumn& column : kCellColumns) {
      if (column.identity && column.type != ColumnType::json) names.emplace_back(column.name);
    }
    return names;
  }();
  return kColumns;
}

MatrixSource read_source(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  return {file, text_of_file(file), overrides};
}

MatrixSpec read_matrix(const MatrixSource& source) {
  const std::filesystem::path& file = source.file;
  toml::table document = parse(source);
  apply_overrides(document, source.set);
  TomlTable root(document, "");

  MatrixSpec spec;
  spec.file = file;
  spec.overridden = std::any_of(source.set.begin(), source.set.end(),
                                [](const std::string& set) { return !set.starts_with("stop."); });
  root.require("matrix", "the section with the matrix' name and seeds");
  TomlTable matrix = root.table("matrix");
  spec.name = read_name(matrix, "how results call this matrix");
  spec.seeds = read_seeds(matrix);
  matrix.reject_unknown();
  read_stop(root, spec);

  for (TomlTable& table : root.tables("pretrain")) spec.pretrains.push_back(read_pretrain(std::move(table)));
  for (TomlTable& table : root.tables("task")) spec.tasks.push_back(read_task(std::move(table)));
  for (TomlTable& table : root.tables("tuner")) spec.tuners.push_back(table.self_as_plugin());
  for (TomlTable& table : root.tables("exclude")) spec.excludes.push_back(read_exclude(std::move(table)));

  if (root.find("selection") != nullptr) spec.selection = read_parameters(root, "selection");
  TomlTable encode = root.table("encode");
  spec.encode.precision = precision_named(encode.choice_or("precision", kPrecisions, "fp32"));
  encode.reject_unknown();
  TomlTable analysis = root.table("analysis");
  spec.analysis.center_rows = analysis.choice_or("center", "column|row", "column") == "row";
  spec.analysis.max_rows = analysis.integer_or("max_rows", spec.analysis.max_rows, 2);
  analysis.reject_unknown();
  root.reject_unknown();

  const Location whole{file.string(), 0, 0, ""};
  if (spec.pretrains.empty())
    throw ConfigError(whole, "has no [[pretrain]]; add one, for frozen features { plugin = \"identity\" }");
  reject_repeated_task_names(spec.tasks);
  return spec;
}

}  // namespace nmlbench
