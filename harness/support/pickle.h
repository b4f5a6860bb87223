// The part of Python's pickle format that PyTorch writes state dicts in. Nothing is executed: an import that is not one
// of the few that rebuild tensors is refused by name.
#pragma once

#include "support/stored_tensor.h"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nmlbench::pickle {

using Item = std::uint32_t;  // place of a value in Unpickled::values, so that nesting needs no recursion

struct None {};
struct Sequence {  // tuple or list
  std::vector<Item> items;
};
struct Dictionary {
  std::vector<std::pair<Item, Item>> entries;
};
struct Import {
  std::string name;  // "torch.FloatStorage"
};
// What a tensor's elements are kept in; its bytes stand elsewhere in the file.
struct Storage {
  std::string key;
  ElementType type;
  std::int64_t elements;
};
// Checked to lie inside its storage.
struct Tensor {
  Storage storage;
  std::int64_t offset;  // in elements
  std::vector<std::int64_t> sizes, strides;
};

using Value =
    std::variant<None, bool, std::int64_t, double, std::string, Sequence, Dictionary, Import, Storage, Tensor>;

struct Unpickled {
  std::deque<Value> values;
  Item root = 0;
  std::size_t bytes = 0;  // that the pickle took

  template <typename T>
  const T* get(Item item) const {
    return std::get_if<T>(&values[item]);
  }
};

// The value that `bytes` begin with. Throws DataError, one line that begins with `file`.
Unpickled unpickle(std::string_view bytes, const std::string& file);

}  // namespace nmlbench::pickle
