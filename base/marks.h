// Coverage marks: a rare branch bears a mark, and the simulator must hit it (docs/simulation.md).
//
//   STELE_MARK("wal: torn tail dropped");
//
// A mark costs one relaxed increment. The names of all marks linked into a binary can be listed with their
// counts.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace stele {

class Mark {
 public:
  explicit Mark(const char* name);
  void hit() { count_.fetch_add(1, std::memory_order_relaxed); }
  std::string_view name() const { return name_; }
  std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  friend std::vector<const Mark*> all_marks();
  const char* name_;
  std::atomic<std::uint64_t> count_{0};
  Mark* next_;
};

// Marks reached at least once in this process, sorted by name.
std::vector<const Mark*> all_marks();

}  // namespace stele

#define STELE_MARK(name)              \
  do {                                \
    static ::stele::Mark mark_(name); \
    mark_.hit();                      \
  } while (false)
