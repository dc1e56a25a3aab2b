#include "protocols/mqtt/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace stele::mqtt {
namespace {

using namespace std::string_literals;

// By definition: decodes each sequence from its bits, then looks at the code point.
bool is_valid_by_definition(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
    const unsigned lead = byte(i);
    const std::size_t length = lead < 0x80             ? 1
                               : (lead & 0xE0) == 0xC0 ? 2
                               : (lead & 0xF0) == 0xE0 ? 3
                               : (lead & 0xF8) == 0xF0 ? 4
                                                       : 0;
    if (length == 0 || i + length > text.size()) return false;
    std::uint32_t point = length == 1 ? lead : lead & (0xFFu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
      point = point << 6 | (byte(i + k) & 0x3F);
    }
    const std::uint32_t least[] = {1, 0x80, 0x800, 0x10000};
    if (point < least[length - 1] || point > 0x10FFFF) return false;
    if (point >= 0xD800 && point <= 0xDFFF) return false;
    i += length;
  }
  return true;
}

TEST(Utf8, Accepts) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("plain ASCII that is longer than a word"));
  EXPECT_TRUE(is_valid_utf8("A\xF0\xAA\x9B\x94"));  // the example of section 1.5.4
  EXPECT_TRUE(is_valid_utf8("\xEF\xBB\xBFx"));      // U+FEFF is kept where it stands [MQTT-1.5.4-3]
  EXPECT_TRUE(is_valid_utf8("\x01\x1F\x7F\xC2\x80\xEF\xBF\xBF"));
}

TEST(Utf8, RefusesZero) {  // [MQTT-1.5.4-2], at each place of a word
  for (std::size_t at = 0; at < 20; ++at) {
    std::string text(20, 'a');
    text[at] = '\0';
    EXPECT_FALSE(is_valid_utf8(text)) << at;
    text[at] = '\x80';
    EXPECT_FALSE(is_valid_utf8(text)) << at;
  }
}

TEST(Utf8, RefusesIllFormed) {  // [MQTT-1.5.4-1]
  for (const auto& text :
       {"\xED\xA0\x80"s, "\xED\xBF\xBF"s, "\xC0\xAF"s, "\xE0\x9F\xBF"s, "\xF0\x8F\xBF\xBF"s,
        "\xF4\x90\x80\x80"s, "\xF5\x80\x80\x80"s, "\xFF"s, "\xC3"s, "\xE2\x82"s, "\xF0\x9F\x98"s}) {
    EXPECT_FALSE(is_valid_utf8(text));
  }
}

TEST(Utf8, AgreesWithTheDefinitionOnEachShortSequence) {
  // All of one and two bytes; of three and four, those whose bytes stand at the edges of the table.
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      std::string text = {static_cast<char>(first), static_cast<char>(second)};
      ASSERT_EQ(is_valid_utf8(text), is_valid_by_definition(text)) << first << ' ' << second;
      for (const char third : {'\x00', 'a', '\x7F', '\x80', '\xBF', '\xC0'}) {
        const std::string three = text + third;
        ASSERT_EQ(is_valid_utf8(three), is_valid_by_definition(three)) << first << ' ' << second;
        for (const char fourth : {'a', '\x7F', '\x80', '\xBF', '\xC0'}) {
          const std::string four = three + fourth;
          ASSERT_EQ(is_valid_utf8(four), is_valid_by_definition(four)) << first << ' ' << second;
        }
      }
    }
  }
}

}  // namespace
}  // namespace stele::mqtt
