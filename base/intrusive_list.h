// A doubly linked list whose links live in the elements: no allocation, O(1) removal by the element itself.
#pragma once

#include "base/assert.h"

namespace stele {

// An element derives from ListNode (once per list it can be in, told apart by Tag). It leaves the list when
// destroyed.
template <class Tag = void>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }
  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (!next_) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = nullptr;
  }

 private:
  template <class, class>
  friend class IntrusiveList;
  ListNode* next_ = nullptr;
  ListNode* prev_ = nullptr;
};

// Holds elements it does not own.
template <class T, class Tag = void>
class IntrusiveList {
  using Node = ListNode<Tag>;

 public:
  IntrusiveList() { head_.next_ = head_.prev_ = &head_; }
  ~IntrusiveList() {
    while (!empty()) pop_front();
    head_.next_ = head_.prev_ = nullptr;
  }
  bool empty() const { return head_.next_ == &head_; }
  void push_back(T& element) {
    Node& node = element;
    STELE_ASSERT(!node.linked());
    node.prev_ = head_.prev_;
    node.next_ = &head_;
    head_.prev_->next_ = &node;
    head_.prev_ = &node;
  }
  T& front() { return static_cast<T&>(*head_.next_); }
  T& pop_front() {
    STELE_ASSERT(!empty());
    Node* node = head_.next_;
    node->unlink();
    return static_cast<T&>(*node);
  }

 private:
  Node head_;
};

}  // namespace stele
