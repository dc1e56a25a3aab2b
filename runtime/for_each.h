// The same work for many things, several at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::runtime {

namespace detail {
inline Task<void> take_in_turn(std::size_t& next, std::size_t count,
                               const std::function<Task<void>(std::size_t)>& one) {
  while (next < count) co_await one(next++);
}
}  // namespace detail

// Runs `one(i)` for each i below `count`, at most `at_once` (not 0) of them at a time, begun in this order.
// Complete when all are.
inline Task<void> for_each(std::size_t count, std::size_t at_once,
                           std::function<Task<void>(std::size_t)> one) {
  Scope scope;
  std::size_t next = 0;
  for (std::size_t i = 0; i < std::min(at_once, count); ++i)
    scope.spawn(detail::take_in_turn(next, count, one));
  co_await scope.join();
}

}  // namespace stele::runtime
