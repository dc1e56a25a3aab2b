#include "base/assert.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace stele {
namespace {

AssertionHook hook = nullptr;
void* hook_context = nullptr;

}  // namespace

void set_assertion_hook(AssertionHook to_call, void* context) {
  hook = to_call;
  hook_context = context;
}

void assertion_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
  std::fflush(stderr);
  if (const AssertionHook to_call = std::exchange(hook, nullptr)) to_call(hook_context);
  std::abort();
}

}  // namespace stele
