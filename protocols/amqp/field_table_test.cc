#include "protocols/amqp/field_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <deque>
#include <limits>
#include <string>
#include <type_traits>

#include "protocols/amqp/generator.h"

namespace stele::amqp {
namespace {

using namespace std::string_literals;

// One value in a table "k", as it stands on the wire.
std::string encoded(const FieldValue& value) {
  return std::string(Table().add("k", value).view().encoded());
}

FieldValue decoded(const std::string& table) {
  const auto view = TableView::parse(table);
  EXPECT_TRUE(view.has_value());
  return view ? view->find("k").value_or(Void{}) : Void{};
}

// 4.2.5.5 in the letters of RabbitMQ.
TEST(FieldTable, EveryTypeOnTheWire) {
  const auto check = [](const FieldValue& value, const std::string& wire) {
    EXPECT_EQ(encoded(value), "\x01k" + wire);
    EXPECT_EQ(decoded("\x01k" + wire), value);
  };
  check(true, "t\x01");
  check(false, "t\x00"s);
  check(std::int8_t{-2}, "b\xFE");
  check(std::uint8_t{254}, "B\xFE");
  check(std::int16_t{-2}, "s\xFF\xFE");
  check(std::uint16_t{0xFFFE}, "u\xFF\xFE");
  check(std::int32_t{-2}, "I\xFF\xFF\xFF\xFE");
  check(std::uint32_t{0xFFFFFFFE}, "i\xFF\xFF\xFF\xFE");
  check(std::int64_t{-2}, "l\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE");
  check(1.5f, "f\x3F\xC0\x00\x00"s);
  check(1.5, "d\x3F\xF8\x00\x00\x00\x00\x00\x00"s);
  check(Decimal{2, 314}, "D\x02\x00\x00\x01\x3A"s);
  check(Timestamp{1}, "T\x00\x00\x00\x00\x00\x00\x00\x01"s);
  check("hi", "S\x00\x00\x00\x02hi"s);
  check(ByteArray{"hi"}, "x\x00\x00\x00\x02hi"s);
  check(Void{}, "V");
  check(Array().add(true).add(Void{}).view(), "A\x00\x00\x00\x03t\x01V"s);
  check(Table().add("a", Void{}).view(), "F\x00\x00\x00\x03\x01\x61V"s);
}

TEST(FieldTable, OtherFormsThatAreRead) {
  EXPECT_EQ(decoded("\x01kL\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE"), FieldValue(std::int64_t{-2}));
  EXPECT_EQ(decoded("\x01kt\x07"), FieldValue(true));
}

TEST(FieldTable, FieldsInTheirOrder) {
  const Table table = Table().add("b", "1").add("", true).add("a", std::int32_t{2}).add("b", "3");
  std::string names;
  for (const Field& field : table.view()) names.append(field.name).append(",");
  EXPECT_EQ(names, "b,,a,b,");
  EXPECT_EQ(table.view().find("b"), FieldValue("1"));
  EXPECT_EQ(table.view().find(""), FieldValue(true));
  EXPECT_FALSE(table.view().find("c"));
  EXPECT_TRUE(Table().view().empty());
  names.clear();
  for (const Field& field : sorted_fields(table.view())) {
    names.append(field.name).append(as_text(field.value).value_or("")).append(",");
  }
  EXPECT_EQ(names, ",a,b1,b3,");
}

TEST(FieldTable, LongestName) {
  const std::string name(kMaxFieldName, 'n');
  const Table table = Table().add(name, true);
  EXPECT_EQ(table.view().find(name), FieldValue(true));
}

TEST(FieldTable, Depth) {
  std::string wire;
  for (unsigned depth = 1; depth <= kMaxTableDepth; ++depth) {
    EXPECT_TRUE(TableView::parse(wire).has_value()) << depth;
    wire = std::string(Table().add("", TableView::parse(wire).value()).view().encoded());
  }
  const auto too_deep = TableView::parse(wire);
  ASSERT_FALSE(too_deep);
  EXPECT_EQ(too_deep.error().code, ReplyCode::kSyntaxError);
  EXPECT_EQ(too_deep.error().text, "a field table is nested too deep");
  EXPECT_FALSE(TableView::parse("\x01kA\0\0\0\0"s, 1));
  EXPECT_TRUE(TableView::parse("\x01kA\0\0\0\0"s, 2).has_value());
}

TEST(FieldTable, Malformed) {
  for (const std::string& wrong :
       {"\x01"s, "\x01k"s, "\x01kz"s, "\x01kS\0\0\0\x01"s, "\x01kI\0\0"s, "\x05k"s, "\x01kF\0\0\0\x01\x01"s,
        "\x01kS\xFF\xFF\xFF\xFF"s, "\x01kA\0\0\0\x01?"s}) {
    const auto table = TableView::parse(wrong);
    ASSERT_FALSE(table);
    EXPECT_EQ(table.error().code, ReplyCode::kSyntaxError);
    EXPECT_TRUE(table.error().ends_connection());
  }
}

TEST(FieldTable, SameValue) {
  EXPECT_TRUE(same_value(std::int8_t{3}, std::uint32_t{3}));
  EXPECT_TRUE(same_value(Timestamp{3}, std::int64_t{3}));
  EXPECT_TRUE(same_value(3.0f, std::int64_t{3}));
  EXPECT_TRUE(same_value(std::int16_t{3}, 3.0));
  EXPECT_TRUE(same_value(0.5f, 0.5));
  EXPECT_FALSE(same_value(3.5, std::int64_t{3}));
  EXPECT_FALSE(same_value(std::int64_t{9007199254740993}, 9007199254740992.0));
  EXPECT_FALSE(same_value(std::numeric_limits<std::int64_t>::max(), 9223372036854775808.0));
  EXPECT_FALSE(same_value(std::nan(""), std::int32_t{0}));
  EXPECT_FALSE(same_value(HUGE_VAL, std::int32_t{0}));
  EXPECT_TRUE(same_value("a", ByteArray{"a"}));
  EXPECT_FALSE(same_value("a", "b"));
  EXPECT_FALSE(same_value(true, std::int32_t{1}));
  EXPECT_TRUE(same_value(Void{}, Void{}));
  EXPECT_FALSE(same_value(Void{}, ""));
  EXPECT_FALSE(same_value(Decimal{0, 3}, std::int32_t{3}));
  EXPECT_FALSE(same_value(Timestamp{std::uint64_t{1} << 63}, std::numeric_limits<std::int64_t>::min()));
}

TEST(FieldTable, Equivalent) {
  const Table a = Table().add("x", std::int32_t{1}).add("y", "z");
  const Table b = Table().add("y", "z").add("x", std::int64_t{1});
  EXPECT_NE(a, b);
  EXPECT_TRUE(equivalent(a.view(), b.view()));
  EXPECT_FALSE(equivalent(a.view(), Table().add("y", "z").view()));
  EXPECT_FALSE(equivalent(a.view(), Table(b).add("x", std::int64_t{1}).view()));
  EXPECT_FALSE(equivalent(a.view(), Table().add("y", "z").add("x", std::int64_t{2}).view()));
}

TEST(FieldTable, AsIntegerAndText) {
  EXPECT_EQ(as_integer(std::uint8_t{200}), 200);
  EXPECT_EQ(as_integer(std::int32_t{-1}), -1);
  EXPECT_EQ(as_integer(Timestamp{5}), 5);
  EXPECT_FALSE(as_integer(true));
  EXPECT_FALSE(as_integer(1.0));
  EXPECT_FALSE(as_integer("1"));
  EXPECT_EQ(as_text("t"), "t");
  EXPECT_EQ(as_text(ByteArray{"b"}), "b");
  EXPECT_FALSE(as_text(std::int32_t{1}));
}

// What is read and written again, value by value, is the same bytes: also where == says no (NaN).
Table rebuilt(TableView table);

FieldValue rebuilt(const FieldValue& value, std::deque<Table>& tables, std::deque<Array>& arrays) {
  if (const auto* table = std::get_if<TableView>(&value)) return tables.emplace_back(rebuilt(*table)).view();
  if (const auto* array = std::get_if<ArrayView>(&value)) {
    Array out;
    for (const FieldValue& each : *array) out.add(rebuilt(each, tables, arrays));
    return arrays.emplace_back(std::move(out)).view();
  }
  return value;
}

Table rebuilt(TableView table) {
  std::deque<Table> tables;
  std::deque<Array> arrays;
  Table out;
  for (const Field& field : table) out.add(field.name, rebuilt(field.value, tables, arrays));
  return out;
}

RC_GTEST_PROP(FieldTableProperties, RoundTrip, ()) {
  const auto entropy = *rc::gen::container<std::string>(400, rc::gen::arbitrary<char>());
  Generator generator(entropy);
  const Table table = generator.table(4);
  const auto parsed = TableView::parse(table.view().encoded());
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == table.view());
  RC_ASSERT(rebuilt(*parsed) == table);
  RC_ASSERT(equivalent(table.view(), *parsed));
}

RC_GTEST_PROP(FieldTableProperties, CutShortIsAnErrorOrFewerFields, ()) {
  const auto entropy = *rc::gen::container<std::string>(200, rc::gen::arbitrary<char>());
  Generator generator(entropy);
  const Table table = generator.table(3);
  const std::string_view whole = table.view().encoded();
  // A block of its own, so that a sanitizer sees who reads behind it.
  const std::string cut(whole.substr(0, *rc::gen::inRange<std::size_t>(0, whole.size() + 1)));
  const auto parsed = TableView::parse(std::string(cut));
  if (parsed) RC_ASSERT(whole.starts_with(TableView::parse(cut)->encoded()));
}

RC_GTEST_PROP(FieldTableProperties, GarbageIsReadToItsEndOrNotAtAll, (std::string garbage)) {
  if (const auto table = TableView::parse(garbage)) {
    RC_ASSERT(rebuilt(*table).view().encoded().size() == garbage.size());
  }
}

}  // namespace
}  // namespace stele::amqp
