#include "base/bytes.h"

#include <cstring>
#include <new>

#include "base/assert.h"

namespace stele {

internal::Block* internal::Block::allocate(std::size_t capacity) {
  void* memory = ::operator new(sizeof(Block) + capacity);
  Block* block = new (memory) Block;
  block->capacity = capacity;
  return block;
}

void internal::Block::unref() {
  if (refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~Block();
  ::operator delete(this);
}

Bytes Bytes::copy(std::string_view from) {
  if (from.empty()) return {};
  auto* block = internal::Block::allocate(from.size());
  std::memcpy(block->data(), from.data(), from.size());
  return Bytes(block, block->data(), from.size());
}

Bytes Bytes::slice(std::size_t offset, std::size_t length) const {
  STELE_ASSERT(offset <= size_);
  length = length < size_ - offset ? length : size_ - offset;
  if (block_) block_->ref();
  return Bytes(block_, data_ + offset, length);
}

Bytes Buffer::slice(std::size_t offset, std::size_t length) const {
  STELE_ASSERT(block_ && offset + length <= block_->capacity);
  block_->ref();
  return Bytes(block_, block_->data() + offset, length);
}

Bytes Buffer::freeze(std::size_t length) && {
  if (!block_) return {};
  STELE_ASSERT(length <= block_->capacity);
  auto* block = std::exchange(block_, nullptr);
  return Bytes(block, block->data(), length);
}

}  // namespace stele
