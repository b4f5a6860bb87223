#include "support/pickle.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_map>

namespace nmlbench::pickle {
namespace {

constexpr std::size_t kMostValues = 4'000'000;  // 0.5 GB; the state dict of 1,000 tensors has 30,000
// What is copied from value to value is short, so that repeating it cannot fill memory.
constexpr std::size_t kMostDimensions = 64, kMostArguments = 16, kLongestKey = 64;

std::optional<ElementType> storage_type(const std::string& import) {
  static const std::map<std::string_view, ElementType> types = {
      {"torch.HalfStorage", ElementType::f16},  {"torch.BFloat16Storage", ElementType::bf16},
      {"torch.FloatStorage", ElementType::f32}, {"torch.DoubleStorage", ElementType::f64},
      {"torch.ByteStorage", ElementType::u8},   {"torch.CharStorage", ElementType::i8},
      {"torch.ShortStorage", ElementType::i16}, {"torch.IntStorage", ElementType::i32},
      {"torch.LongStorage", ElementType::i64},  {"torch.BoolStorage", ElementType::boolean}};
  const auto found = types.find(import);
  return found == types.end() ? std::nullopt : std::optional(found->second);
}

constexpr const char* kOrderedDict = "collections.OrderedDict";
constexpr const char* kTensor = "torch._utils._rebuild_tensor_v2";
constexpr const char* kParameter = "torch._utils._rebuild_parameter";

// Opcodes of protocols 0 to 5 (Lib/pickletools.py) that state dicts have.
constexpr unsigned char kMark = '(', kStop = '.', kPop = '0', kBinFloat = 'G', kBinInt = 'J', kBinInt1 = 'K',
                        kBinInt2 = 'M', kNone = 'N', kBinPersistent = 'Q', kReduce = 'R', kBinUnicode = 'X',
                        kAppend = 'a', kBuild = 'b', kGlobal = 'c', kAppends = 'e', kBinGet = 'h', kLongBinGet = 'j',
                        kEmptyList = ']', kBinPut = 'q', kLongBinPut = 'r', kSetItem = 's', kTuple = 't',
                        kEmptyTuple = ')', kSetItems = 'u', kEmptyDict = '}', kProtocol = 0x80, kTuple1 = 0x85,
                        kTuple2 = 0x86, kTuple3 = 0x87, kTrue = 0x88, kFalse = 0x89, kLong1 = 0x8a,
                        kShortBinUnicode = 0x8c, kStackGlobal = 0x93, kMemoize = 0x94, kFrame = 0x95;

class Machine {
 public:
  Machine(std::string_view bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  Unpickled run() {
    while (true) {
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      if (opcode == kStop) break;
      step(opcode);
      if (out_.values.size() > kMostValues) refuse("its pickle has more values than any state dict");
    }
    out_.root = pop();
    out_.bytes = at_;
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(const std::string& message) const { throw DataError(file_ + ": " + message); }
  [[noreturn]] void malformed() const { refuse("its pickle is malformed or truncated"); }

  std::string_view take(std::size_t count) {
    if (count > bytes_.size() - at_) malformed();
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  std::uint64_t number(std::size_t count) {
    std::uint64_t value = 0;
    const std::string_view bytes = take(count);
    for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }
  std::string line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) malformed();
    std::string text(take(end - at_));
    take(1);
    return text;
  }

  template <typename T>
  void push(T value) {
    out_.values.emplace_back(std::in_place_type<T>, std::move(value));
    stack_.push_back(static_cast<Item>(out_.values.size() - 1));
  }
  Item pop() {
    const Item top = this->top();
    stack_.pop_back();
    return top;
  }
  Item top() const {
    if (stack_.empty() || (!marks_.empty() && stack_.size() <= marks_.back())) malformed();
    return stack_.back();
  }
  std::vector<Item> pop_to_mark() {
    if (marks_.empty()) malformed();
    const auto mark = static_cast<std::ptrdiff_t>(marks_.back());
    marks_.pop_back();
    std::vector<Item> items(stack_.begin() + mark, stack_.end());
    stack_.resize(static_cast<std::size_t>(mark));
    return items;
  }
  void push_tuple(std::size_t count) {
    Sequence tuple;
    for (std::size_t i = 0; i < count; ++i) tuple.items.push_back(pop());
    std::reverse(tuple.items.begin(), tuple.items.end());
    push(std::move(tuple));
  }
  template <typename T>
  T& as(Item item) {
    T* value = std::get_if<T>(&out_.values[item]);
    if (value == nullptr) malformed();
    return *value;
  }

  void step(unsigned char opcode) {
    using Step = void (*)(Machine&);
    static const std::map<unsigned char, Step> steps = {
        {kProtocol, [](Machine& m) { m.take(1); }},
        {kFrame, [](Machine& m) { m.take(8); }},
        {kMark, [](Machine& m) { m.marks_.push_back(m.stack_.size()); }},
        {kPop, [](Machine& m) { m.pop(); }},
        {kNone, [](Machine& m) { m.push(None()); }},
        {kTrue, [](Machine& m) { m.push(true); }},
        {kFalse, [](Machine& m) { m.push(false); }},
        {kBinInt, [](Machine& m) { m.push(std::int64_t{static_cast<std::int32_t>(m.number(4))}); }},
        {kBinInt1, [](Machine& m) { m.push(static_cast<std::int64_t>(m.number(1))); }},
        {kBinInt2, [](Machine& m) { m.push(static_cast<std::int64_t>(m.number(2))); }},
        {kLong1, [](Machine& m) { m.push_long(m.number(1)); }},
        {kBinFloat, [](Machine& m) { m.push(std::bit_cast<double>(__builtin_bswap64(m.number(8)))); }},
        {kBinUnicode, [](Machine& m) { m.push(std::string(m.take(m.number(4)))); }},
        {kShortBinUnicode, [](Machine& m) { m.push(std::string(m.take(m.number(1)))); }},
        {kEmptyTuple, [](Machine& m) { m.push(Sequence()); }},
        {kEmptyList, [](Machine& m) { m.push(Sequence()); }},
        {kEmptyDict, [](Machine& m) { m.push(Dictionary()); }},
        {kTuple, [](Machine& m) { m.push(Sequence{m.pop_to_mark()}); }},
        {kTuple1, [](Machine& m) { m.push_tuple(1); }},
        {kTuple2, [](Machine& m) { m.push_tuple(2); }},
        {kTuple3, [](Machine& m) { m.push_tuple(3); }},
        {kAppend, [](Machine& m) { m.append({m.pop()}); }},
        {kAppends, [](Machine& m) { m.append(m.pop_to_mark()); }},
        {kSetItem, [](Machine& m) { m.set_last_item(); }},
        {kSetItems, [](Machine& m) { m.set_items(m.pop_to_mark()); }},
        {kBinPut, [](Machine& m) { m.remember(m.number(1)); }},
        {kLongBinPut, [](Machine& m) { m.remember(m.number(4)); }},
        {kMemoize, [](Machine& m) { m.remember(m.memo_.size()); }},
        {kBinGet, [](Machine& m) { m.recall(m.number(1)); }},
        {kLongBinGet, [](Machine& m) { m.recall(m.number(4)); }},
        {kGlobal, [](Machine& m) { m.import_global(); }},
        {kStackGlobal, [](Machine& m) { m.import_from_stack(); }},
        {kBinPersistent, [](Machine& m) { m.push_storage(m.as<Sequence>(m.pop())); }},
        {kReduce, [](Machine& m) { m.call(); }},
        {kBuild, [](Machine& m) { m.set_attributes(); }},
    };
    const auto found = steps.find(opcode);
    if (found == steps.end()) {
      refuse("its pickle has the opcode " + std::to_string(opcode) + ", which no state dict needs");
    }
    found->second(*this);
  }

  // Little-endian two's complement; longer ones are no number that is asked for.
  void push_long(std::uint64_t length) {
    if (length > 8) {
      take(length);
      return push(None());
    }
    const std::uint64_t bits = number(length), unused = 64 - 8 * length;
    push(length == 0 ? std::int64_t{0} : static_cast<std::int64_t>(bits << unused) >> unused);
  }

  void append(const std::vector<Item>& items) {
    std::vector<Item>& list = as<Sequence>(top()).items;
    list.insert(list.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<Item>& items) {
    if (items.size() % 2 != 0) malformed();
    Dictionary& dictionary = as<Dictionary>(top());
    for (std::size_t i = 0; i < items.size(); i += 2) dictionary.entries.emplace_back(items[i], items[i + 1]);
  }
  void set_last_item() {
    const Item value = pop(), key = pop();
    set_items({key, value});
  }
  // What PyTorch hangs on a state dict (_metadata) is of no use here; on anything else it would be an object's state.
  void set_attributes() {
    pop();
    if (!std::holds_alternative<Dictionary>(out_.values[top()])) refuse("its pickle has an object of an unknown class");
  }
  void remember(std::uint64_t place) { memo_[place] = top(); }
  void recall(std::uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) malformed();
    stack_.push_back(found->second);
  }

  void import_global() {
    std::string module = line();
    push_import(std::move(module) + "." + line());
  }
  void import_from_stack() {
    const Item name = pop(), module = pop();
    push_import(as<std::string>(module) + "." + as<std::string>(name));
  }
  void push_import(std::string name) {
    if (name != kOrderedDict && name != kTensor && name != kParameter && !storage_type(name)) {
      refuse("its pickle wants to import " + name.substr(0, 200) +
             ", which is not done; save the state dict alone: torch.save(model.state_dict(), ..) or .safetensors");
    }
    push(Import{std::move(name)});
  }

  // ("storage", type, key, device, elements), and in older files where it is a view.
  void push_storage(const Sequence& id) {
    if (id.items.size() < 5 || as<std::string>(id.items[0]) != "storage") malformed();
    const auto type = storage_type(as<Import>(id.items[1]).name);
    if (!type) malformed();
    if (id.items.size() > 5 && !std::holds_alternative<None>(out_.values[id.items[5]])) {
      refuse("a tensor is a view of another's storage, as PyTorch before 0.4 saved; save it anew");
    }
    const std::int64_t elements = as<std::int64_t>(id.items[4]);
    const std::string& key = as<std::string>(id.items[2]);
    if (elements < 0 || key.size() > kLongestKey) malformed();
    push(Storage{key, *type, elements});
  }

  void call() {
    const std::vector<Item>& arguments = as<Sequence>(pop()).items;
    if (arguments.size() > kMostArguments) malformed();
    const std::string callee = as<Import>(pop()).name;
    if (callee == kOrderedDict && arguments.empty()) return push(Dictionary());
    if (callee == kTensor && arguments.size() >= 4) return push_tensor(arguments);
    if (callee != kParameter || arguments.empty()) malformed();
    as<Tensor>(arguments[0]);
    stack_.push_back(arguments[0]);
  }

  // (storage, offset, sizes, strides, ..)
  void push_tensor(const std::vector<Item>& arguments) {
    Tensor tensor{as<Storage>(arguments[0]), as<std::int64_t>(arguments[1]), integers(arguments[2]),
                  integers(arguments[3])};
    const auto count = element_count(tensor.sizes);
    bool inside = count && tensor.offset >= 0 && tensor.sizes.size() == tensor.strides.size();
    std::int64_t last = tensor.offset;
    for (std::size_t i = 0; inside && *count > 0 && i < tensor.sizes.size(); ++i) {
      std::int64_t reach = 0;
      inside = tensor.strides[i] >= 0 && !__builtin_mul_overflow(tensor.sizes[i] - 1, tensor.strides[i], &reach) &&
               !__builtin_add_overflow(last, reach, &last);
    }
    // an expanded tensor would be larger than its file
    inside = inside && *count <= static_cast<std::uint64_t>(tensor.storage.elements) &&
             (*count == 0 || last < tensor.storage.elements);
    if (!inside) refuse("a tensor reaches beyond its storage \"" + tensor.storage.key + "\"");
    push(std::move(tensor));
  }

  std::vector<std::int64_t> integers(Item item) {
    std::vector<std::int64_t> numbers;
    if (as<Sequence>(item).items.size() > kMostDimensions) malformed();
    for (const Item one : as<Sequence>(item).items) numbers.push_back(as<std::int64_t>(one));
    return numbers;
  }

  std::string_view bytes_;
  std::string file_;
  std::size_t at_ = 0;
  Unpickled out_;
  std::vector<Item> stack_;
  std::vector<std::size_t> marks_;  // sizes of the stack
  std::unordered_map<std::uint64_t, Item> memo_;
};

}  // namespace

Unpickled unpickle(std::string_view bytes, const std::string& file) {
  return Machine(bytes, file).run();
}

}  // namespace nmlbench::pickle
