// A queue in one block of memory: appended at the end, taken from the front, read anywhere. Empty it holds
// next to nothing, which a std::deque does not, and there are many empty ones: some per session. Appending
// may move the items.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace stele {

// `kKeep`: room, in items, that stays when it is empty.
template <class T, std::size_t kKeep = 4>
class Fifo {
  static_assert(std::is_nothrow_move_constructible_v<T>);

 public:
  bool empty() const { return head_ == items_.size(); }
  std::size_t size() const { return items_.size() - head_; }
  const T& operator[](std::size_t i) const { return items_[head_ + i]; }
  T& operator[](std::size_t i) { return items_[head_ + i]; }
  const T& front() const { return items_[head_]; }
  T& front() { return items_[head_]; }
  const T& back() const { return items_.back(); }
  T& back() { return items_.back(); }
  auto begin() const { return items_.begin() + static_cast<std::ptrdiff_t>(head_); }
  auto end() const { return items_.end(); }
  auto begin() { return items_.begin() + static_cast<std::ptrdiff_t>(head_); }
  auto end() { return items_.end(); }

  void push_back(T item) { items_.push_back(std::move(item)); }
  void pop_front() {
    STELE_ASSERT(!empty());
    if constexpr (!std::is_trivially_destructible_v<T>) items_[head_] = T();
    ++head_;
    tidy();
  }
  // Gives what was the first.
  T take_front() {
    STELE_ASSERT(!empty());
    T first = std::move(items_[head_]);
    pop_front();
    return first;
  }
  // Any one of them; takes as long as there are behind it.
  void erase(std::size_t i) {
    STELE_ASSERT(i < size());
    items_.erase(begin() + static_cast<std::ptrdiff_t>(i));
    tidy();
  }
  // Keeps the first and every second one after it.
  void thin() {
    std::size_t to = 0;
    for (std::size_t from = head_; from < items_.size(); from += 2) items_[to++] = std::move(items_[from]);
    items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(to), items_.end());
    head_ = 0;
  }
  void clear() {
    head_ = items_.size();
    tidy();
  }
  friend bool operator==(const Fifo& a, const Fifo& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  // The front part that is gone is given back when it is half of the whole: constant time per item.
  void tidy() {
    if (head_ == items_.size()) {
      items_.clear();
      head_ = 0;
      if (items_.capacity() > kKeep) items_.shrink_to_fit();
    } else if (head_ >= 32 && head_ * 2 >= items_.size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
      if (items_.capacity() > 4 * items_.size()) items_.shrink_to_fit();
    }
  }
  std::vector<T> items_;
  std::size_t head_ = 0;
};

}  // namespace stele
