// Against bytes of an independent implementation, made from Kafka's own schemas: see testdata/make_golden.py.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <tuple>
#include <type_traits>

#include "protocols/kafka/all_messages.h"
#include "protocols/kafka/codec.h"
#include "protocols/kafka/walker.h"

namespace stele::kafka {
namespace {

std::string to_hex(std::string_view bytes) {
  std::string out;
  for (unsigned char byte : bytes) {
    out.push_back("0123456789abcdef"[byte >> 4]);
    out.push_back("0123456789abcdef"[byte & 15]);
  }
  return out;
}

std::string from_hex(std::string_view digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

// Prints a line per field, changes nothing.
class Printer : public Walker {
 public:
  void boolean(const char* name, bool& value) override { line(name, value ? "true" : "false"); }
  void integer(const char* name, std::int64_t& value, std::size_t) override {
    line(name, std::to_string(value));
  }
  void uuid(const char* name, Uuid& value) override {
    std::string hex;
    for (std::uint64_t half : {value.high, value.low}) {
      for (int shift = 56; shift >= 0; shift -= 8)
        hex += to_hex(std::string(1, static_cast<char>(half >> shift)));
    }
    line(name, hex);
  }
  void string(const char* name, std::string& value) override { line(name, '"' + value + '"'); }
  void view(const char* name, std::string_view& value) override {
    bool is_records = std::string_view(name) == "records";
    line(name, is_records ? to_hex(value) : '"' + std::string(value) + '"');
  }
  void bytes(const char* name, std::string& value) override { line(name, to_hex(value)); }
  void records(const char* name, Records& value) override {
    line(name, value.is_null() ? "null" : to_hex(value.flatten()));
  }
  bool null(const char* name, bool is_null) override {
    if (is_null) line(name, "null");
    return is_null;
  }
  std::size_t array(const char* name, std::size_t size) override {
    text += name + ("#" + std::to_string(size)) + "\n";
    return size;
  }

  std::string text;

 private:
  void line(const char* name, const std::string& value) { text += name + ("=" + value) + "\n"; }
};

struct Golden {
  std::string body;
  std::string fields;
};
using Key = std::tuple<int, int, bool>;  // API, version, is a request

std::map<Key, Golden> read_golden() {
  std::map<Key, Golden> all;
  std::ifstream in("protocols/kafka/testdata/golden.txt");
  int api, version;
  std::string side, digits, line;
  while (in >> api >> version >> side >> digits) {
    Golden& golden = all[{api, version, side == "request"}];
    golden.body = digits == "-" ? "" : from_hex(digits);
    std::getline(in, line);
    while (std::getline(in, line) && !line.empty()) golden.fields += line + "\n";
  }
  return all;
}

template <class Message>
void check(const Golden& golden, std::int16_t version) {
  auto decoded = decode<Message>(golden.body, version);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  Message message = *decoded;
  Printer printer;
  walk(message, version, printer);
  EXPECT_EQ(printer.text, golden.fields);

  std::string wire;
  if constexpr (Message::kIsRequest) {
    ASSERT_TRUE(append_request(wire, 1, version, std::nullopt, *decoded));
    EXPECT_EQ(to_hex(parse_request(wire.substr(kLengthBytes))->body), to_hex(golden.body));
  } else {
    ASSERT_TRUE(append_response(wire, 1, version, *decoded));
    EXPECT_EQ(to_hex(parse_response(wire.substr(kLengthBytes), Message::kApi, version)->body),
              to_hex(golden.body));
  }
}

TEST(KafkaGolden, EveryMessageInEveryVersion) {
  std::map<Key, Golden> all = read_golden();
  std::size_t checked = 0;
  for_each_message([&]<class Message>(std::type_identity<Message>) {
    const ApiInfo& api = api_info(Message::kApi);
    for (std::int16_t version = api.min_version; version <= api.max_version; ++version) {
      SCOPED_TRACE(std::string(api.name) + " v" + std::to_string(version) +
                   (Message::kIsRequest ? " request" : " response"));
      auto at = all.find({static_cast<int>(api.key), version, Message::kIsRequest});
      ASSERT_NE(at, all.end());
      check<Message>(at->second, version);
      ++checked;
    }
  });
  EXPECT_EQ(checked, all.size());
}

}  // namespace
}  // namespace stele::kafka
