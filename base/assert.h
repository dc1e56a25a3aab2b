// Assertions that stay on in release builds. They hold our own invariants; input from outside gets an Error.
#pragma once

namespace stele {

// Prints file, line and condition to standard error and aborts. Never returns.
[[noreturn]] void assertion_failed(const char* file, int line, const char* condition);

}  // namespace stele

#define STELE_ASSERT(condition)                                  \
  do {                                                           \
    if (!(condition)) [[unlikely]]                               \
      ::stele::assertion_failed(__FILE__, __LINE__, #condition); \
  } while (false)
