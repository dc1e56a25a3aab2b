#include "protocols/amqp/field_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/assert.h"

namespace stele::amqp {

// Makes views of what was checked.
struct FieldAccess {
  static ArrayView array(std::string_view checked) { return ArrayView(checked); }
  static TableView table(std::string_view checked) { return TableView(checked); }
};

namespace {

std::string_view read_long(Reader& reader) {
  return reader.bytes(reader.u32_be());
}

// The value that follows its type. Fails the reader for a type that there is none of.
FieldValue read_value(Reader& r) {
  const char type = static_cast<char>(r.u8());
  switch (type) {
    case 't':
      return r.u8() != 0;
    case 'b':
      return r.be<std::int8_t>();
    case 'B':
      return r.u8();
    case 's':
      return r.be<std::int16_t>();
    case 'u':
      return r.u16_be();
    case 'I':
      return r.be<std::int32_t>();
    case 'i':
      return r.u32_be();
    case 'l':
    case 'L':
      return r.be<std::int64_t>();
    case 'f':
      return std::bit_cast<float>(r.u32_be());
    case 'd':
      return std::bit_cast<double>(r.u64_be());
    case 'D': {
      const std::uint8_t scale = r.u8();
      return Decimal{scale, r.be<std::int32_t>()};
    }
    case 'T':
      return Timestamp{r.u64_be()};
    case 'S':
      return read_long(r);
    case 'x':
      return ByteArray{read_long(r)};
    case 'A':
      return FieldAccess::array(read_long(r));
    case 'F':
      return FieldAccess::table(read_long(r));
    case 'V':
      return Void{};
    default:
      r.fail();
      return Void{};
  }
}

// Why the bytes are not `depth` levels of values at most; null if they are.
const char* check(Reader reader, bool named, unsigned depth) {
  if (depth == 0) return "is nested too deep";
  while (!reader.at_end()) {
    if (named) reader.bytes(reader.u8());
    const FieldValue value = read_value(reader);
    if (reader.failed()) return "is cut short, or has a value of an unknown type";
    const char* why = nullptr;
    if (const auto* array = std::get_if<ArrayView>(&value)) {
      why = check(Reader(array->encoded()), false, depth - 1);
    } else if (const auto* table = std::get_if<TableView>(&value)) {
      why = check(Reader(table->encoded()), true, depth - 1);
    }
    if (why) return why;
  }
  return nullptr;
}

void append_long(Writer& writer, std::string_view bytes) {
  STELE_ASSERT(bytes.size() <= std::numeric_limits<std::uint32_t>::max());
  writer.u32_be(static_cast<std::uint32_t>(bytes.size())).bytes(bytes);
}

// Appends type and value.
struct Append {
  Writer& w;
  void operator()(Void) { w.u8('V'); }
  void operator()(bool v) { w.u8('t').u8(v ? 1 : 0); }
  void operator()(std::int8_t v) { w.u8('b').be(v); }
  void operator()(std::uint8_t v) { w.u8('B').be(v); }
  void operator()(std::int16_t v) { w.u8('s').be(v); }
  void operator()(std::uint16_t v) { w.u8('u').be(v); }
  void operator()(std::int32_t v) { w.u8('I').be(v); }
  void operator()(std::uint32_t v) { w.u8('i').be(v); }
  void operator()(std::int64_t v) { w.u8('l').be(v); }
  void operator()(float v) { w.u8('f').be(std::bit_cast<std::uint32_t>(v)); }
  void operator()(double v) { w.u8('d').be(std::bit_cast<std::uint64_t>(v)); }
  void operator()(Decimal v) { w.u8('D').u8(v.scale).be(v.value); }
  void operator()(Timestamp v) { w.u8('T').be(v.seconds); }
  void operator()(std::string_view v) { append_long(w.u8('S'), v); }
  void operator()(ByteArray v) { append_long(w.u8('x'), v.bytes); }
  void operator()(ArrayView v) { append_long(w.u8('A'), v.encoded()); }
  void operator()(TableView v) { append_long(w.u8('F'), v.encoded()); }
};

void append_value(Writer& writer, const FieldValue& value) {
  std::visit(Append{writer}, value);
}

std::optional<double> as_floating(const FieldValue& value) {
  if (const auto* f = std::get_if<float>(&value)) return *f;
  if (const auto* d = std::get_if<double>(&value)) return *d;
  return std::nullopt;
}

// Exactly: an integer that a double cannot hold is the same as no double.
bool same_number(std::int64_t integer, double floating) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (!(floating >= -kTwoTo63 && floating < kTwoTo63) || std::trunc(floating) != floating) return false;
  return static_cast<std::int64_t>(floating) == integer;
}

}  // namespace

Decoded<TableView> TableView::parse(std::string_view encoded, unsigned max_depth) {
  if (const char* why = check(Reader(encoded), true, max_depth)) {
    return protocol_error(ReplyCode::kSyntaxError, std::string("a field table ") + why);
  }
  return TableView(encoded);
}

std::optional<FieldValue> TableView::find(std::string_view name) const {
  for (TableIterator it = begin(); it != end(); ++it) {
    if (it->name == name) return it->value;
  }
  return std::nullopt;
}

ArrayIterator& ArrayIterator::operator++() {
  at_end_ = reader_.at_end();
  if (!at_end_) current_ = read_value(reader_);
  STELE_ASSERT(reader_.ok());
  return *this;
}

TableIterator& TableIterator::operator++() {
  at_end_ = reader_.at_end();
  if (!at_end_) {
    current_.name = reader_.bytes(reader_.u8());
    current_.value = read_value(reader_);
  }
  STELE_ASSERT(reader_.ok());
  return *this;
}

Array& Array::add(const FieldValue& value) {
  Writer writer(encoded_);
  append_value(writer, value);
  return *this;
}

Table& Table::add(std::string_view name, const FieldValue& value) {
  STELE_ASSERT(name.size() <= kMaxFieldName);
  Writer writer(encoded_);
  writer.u8(static_cast<std::uint8_t>(name.size())).bytes(name);
  append_value(writer, value);
  return *this;
}

std::optional<std::int64_t> as_integer(const FieldValue& value) {
  return std::visit(
      []<class T>(const T& v) -> std::optional<std::int64_t> {
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) return v;
        if constexpr (std::is_same_v<T, Timestamp>) {
          if (std::in_range<std::int64_t>(v.seconds)) return static_cast<std::int64_t>(v.seconds);
        }
        return std::nullopt;
      },
      value);
}

std::optional<std::string_view> as_text(const FieldValue& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return *text;
  if (const auto* bytes = std::get_if<ByteArray>(&value)) return bytes->bytes;
  return std::nullopt;
}

bool same_value(const FieldValue& a, const FieldValue& b) {
  const auto a_integer = as_integer(a), b_integer = as_integer(b);
  if (a_integer && b_integer) return *a_integer == *b_integer;
  const auto a_floating = as_floating(a), b_floating = as_floating(b);
  if (a_floating && b_floating) return *a_floating == *b_floating;
  if (a_integer && b_floating) return same_number(*a_integer, *b_floating);
  if (a_floating && b_integer) return same_number(*b_integer, *a_floating);
  const auto a_text = as_text(a), b_text = as_text(b);
  if (a_text && b_text) return *a_text == *b_text;
  return a == b;
}

std::vector<Field> sorted_fields(TableView table) {
  std::vector<Field> fields;
  for (const Field& field : table) fields.push_back(field);
  // Names point into one string: their places there are their order.
  std::ranges::sort(fields, [](const Field& x, const Field& y) {
    return x.name != y.name ? x.name < y.name : x.name.data() < y.name.data();
  });
  return fields;
}

bool equivalent(TableView a, TableView b) {
  if (a == b) return true;
  return std::ranges::equal(sorted_fields(a), sorted_fields(b), [](const Field& x, const Field& y) {
    return x.name == y.name && same_value(x.value, y.value);
  });
}

}  // namespace stele::amqp
