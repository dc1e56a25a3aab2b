#include "base/marks.h"

#include <algorithm>

namespace stele {
namespace {
std::atomic<Mark*> first_mark{nullptr};
}  // namespace

Mark::Mark(const char* name) : name_(name), next_(first_mark.load()) {
  while (!first_mark.compare_exchange_weak(next_, this)) {
  }
}

std::vector<const Mark*> all_marks() {
  std::vector<const Mark*> marks;
  for (const Mark* m = first_mark.load(); m; m = m->next_) marks.push_back(m);
  std::sort(marks.begin(), marks.end(), [](auto* a, auto* b) { return a->name() < b->name(); });
  return marks;
}

}  // namespace stele
