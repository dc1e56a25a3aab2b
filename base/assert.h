// Assertions that stay on in release builds. They hold our own invariants; input from outside gets an Error.
#pragma once

namespace stele {

// Prints file, line and condition to standard error and aborts. Never returns.
[[noreturn]] void assertion_failed(const char* file, int line, const char* condition);

// Called once before aborting, to say what led there: the simulator prints its trace. Null: nothing is
// called.
using AssertionHook = void (*)(void* context);
void set_assertion_hook(AssertionHook hook, void* context);

}  // namespace stele

#define STELE_ASSERT(condition)                                  \
  do {                                                           \
    if (!(condition)) [[unlikely]]                               \
      ::stele::assertion_failed(__FILE__, __LINE__, #condition); \
  } while (false)
