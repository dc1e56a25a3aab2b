#include "base/base64.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace stele {
namespace {

TEST(Base64, VectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(base64_encode(plain), text);
    EXPECT_EQ(base64_decode(text), plain);
  }
}

TEST(Base64, OneTextPerValue) {
  for (const char* wrong :
       {"Zg", "Zg=", "Zh==", "Zm9=", "Zm8=Zm8=", "Z===", "====", "Zm 8", "Zm-_", "Zg==\n"}) {
    EXPECT_FALSE(base64_decode(wrong)) << wrong;
  }
}

RC_GTEST_PROP(Base64, ThereAndBack, (const std::string& bytes)) {
  const std::string text = base64_encode(bytes);
  RC_ASSERT(base64_decode(text) == bytes);
}

RC_GTEST_PROP(Base64, WhatIsReadIsWrittenTheSame, ()) {
  const std::string text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("AZaz09+/=")));
  if (const auto bytes = base64_decode(text)) RC_ASSERT(base64_encode(*bytes) == text);
}

}  // namespace
}  // namespace stele
