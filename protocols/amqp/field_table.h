// Field tables and their values (section 4.2.5.5), in the types that RabbitMQ and its clients use, which are
// not quite those of the specification (RabbitMQ's errata, section 3):
//
//   t bool      b i8   s i16   I i32   l i64      f float    D decimal   S long string   A array   V void
//               B u8   u u16   i u32   L i64      d double   T timestamp x byte array    F table
//
// A view is of bytes that were checked once, when it was made: whoever reads it meets no error. It copies
// nothing, and the bytes must outlive it. Table and Array own theirs: they are the encoded form, in one
// string. Everything here is pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/wire.h"
#include "protocols/amqp/reply_code.h"

namespace stele::amqp {

// Tables and arrays within each other: RabbitMQ has no limit, and x-death needs 3.
inline constexpr unsigned kMaxTableDepth = 32;
inline constexpr std::size_t kMaxFieldName = 255;

struct Void {
  friend bool operator==(Void, Void) = default;
};
// value / 10^scale
struct Decimal {
  std::uint8_t scale = 0;
  std::int32_t value = 0;
  friend bool operator==(Decimal, Decimal) = default;
};
struct Timestamp {
  std::uint64_t seconds = 0;  // since 1970
  friend bool operator==(Timestamp, Timestamp) = default;
};
struct ByteArray {
  std::string_view bytes;
  friend bool operator==(ByteArray, ByteArray) = default;
};

class ArrayView;
class TableView;
class ArrayIterator;
class TableIterator;

// std::string_view is a long string.
using FieldValue = std::variant<Void, bool, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t,
                                std::int32_t, std::uint32_t, std::int64_t, float, double, Decimal, Timestamp,
                                std::string_view, ByteArray, ArrayView, TableView>;

struct Field;

// The values of an array, without its length.
class ArrayView {
 public:
  ArrayView() = default;
  std::string_view encoded() const { return encoded_; }
  bool empty() const { return encoded_.empty(); }
  ArrayIterator begin() const;
  std::default_sentinel_t end() const { return {}; }

  // The same types and values in the same order.
  friend bool operator==(ArrayView, ArrayView) = default;

 private:
  friend class Array;
  friend struct FieldAccess;
  explicit ArrayView(std::string_view checked) : encoded_(checked) {}
  std::string_view encoded_;
};

// The fields of a table, without its length, in their order on the wire. A name may appear more than once:
// what the specification leaves undefined; find() gives the first.
class TableView {
 public:
  TableView() = default;
  // SYNTAX_ERROR if they are not well formed, or nested deeper than `max_depth`, this table included.
  static Decoded<TableView> parse(std::string_view encoded, unsigned max_depth = kMaxTableDepth);

  std::string_view encoded() const { return encoded_; }
  bool empty() const { return encoded_.empty(); }
  TableIterator begin() const;
  std::default_sentinel_t end() const { return {}; }
  std::optional<FieldValue> find(std::string_view name) const;

  // The same fields in the same order; see equivalent().
  friend bool operator==(TableView, TableView) = default;

 private:
  friend class Table;
  friend struct FieldAccess;
  explicit TableView(std::string_view checked) : encoded_(checked) {}
  std::string_view encoded_;
};

struct Field {
  std::string_view name;
  FieldValue value;
};

class ArrayIterator {
 public:
  using value_type = FieldValue;
  using difference_type = std::ptrdiff_t;
  using iterator_category = std::input_iterator_tag;

  explicit ArrayIterator(ArrayView array) : reader_(array.encoded()) { ++*this; }
  const FieldValue& operator*() const { return current_; }
  ArrayIterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const ArrayIterator& it, std::default_sentinel_t) { return it.at_end_; }

 private:
  Reader reader_;
  FieldValue current_;
  bool at_end_ = false;
};

class TableIterator {
 public:
  using value_type = Field;
  using difference_type = std::ptrdiff_t;
  using iterator_category = std::input_iterator_tag;

  explicit TableIterator(TableView table) : reader_(table.encoded()) { ++*this; }
  const Field& operator*() const { return current_; }
  const Field* operator->() const { return &current_; }
  TableIterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const TableIterator& it, std::default_sentinel_t) { return it.at_end_; }

 private:
  Reader reader_;
  Field current_;
  bool at_end_ = false;
};

inline ArrayIterator ArrayView::begin() const {
  return ArrayIterator(*this);
}
inline TableIterator TableView::begin() const {
  return TableIterator(*this);
}

// Owned, and made value by value. A view points into it until it is changed or gone.
class Array {
 public:
  Array() = default;
  explicit Array(ArrayView array) : encoded_(array.encoded()) {}
  Array& add(const FieldValue& value);
  ArrayView view() const { return ArrayView(encoded_); }
  friend bool operator==(const Array&, const Array&) = default;

 private:
  std::string encoded_;
};

class Table {
 public:
  Table() = default;
  explicit Table(TableView table) : encoded_(table.encoded()) {}
  // Behind the others. The name has at most kMaxFieldName bytes.
  Table& add(std::string_view name, const FieldValue& value);
  TableView view() const { return TableView(encoded_); }
  friend bool operator==(const Table&, const Table&) = default;

 private:
  std::string encoded_;
};

// Whatever integer type it has, or a timestamp; nothing for others.
std::optional<std::int64_t> as_integer(const FieldValue& value);
// A long string or a byte array.
std::optional<std::string_view> as_text(const FieldValue& value);

// Whether two values mean the same, as RabbitMQ compares them: numbers by their value, whichever type they
// have (integers, timestamps, floats); long strings and byte arrays by their bytes; all else by type and
// value. Void is only the same as void.
bool same_value(const FieldValue& a, const FieldValue& b);

// By name, and fields of one name in their order.
std::vector<Field> sorted_fields(TableView table);

// Whether two tables have the same fields in any order, values compared by same_value().
bool equivalent(TableView a, TableView b);

}  // namespace stele::amqp
