// Ref-counted byte buffers.
//
// Buffer is a writable block; Bytes is an immutable slice of one. Slices share the block, so a payload can go
// from a socket to the disk and to many consumers without a copy. Counts are atomic: a slice may be handed to
// another core. A view of bytes is a std::string_view everywhere in Stele.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace stele {

namespace internal {
struct Block {
  std::atomic<std::uint32_t> refs{1};
  std::size_t capacity = 0;
  char* data() { return reinterpret_cast<char*>(this + 1); }
  static Block* allocate(std::size_t capacity);
  void ref() { refs.fetch_add(1, std::memory_order_relaxed); }
  void unref();
};
}  // namespace internal

// An immutable, ref-counted slice. Cheap to copy and to cut; keeps its whole block alive.
class Bytes {
 public:
  Bytes() = default;
  Bytes(const Bytes& other) : block_(other.block_), data_(other.data_), size_(other.size_) {
    if (block_) block_->ref();
  }
  Bytes(Bytes&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Bytes& operator=(Bytes other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Bytes() {
    if (block_) block_->unref();
  }

  // A fresh block holding a copy of `from`.
  static Bytes copy(std::string_view from);
  // A slice of memory that lives as long as the program (string literals).
  static Bytes literal(std::string_view text) { return Bytes(nullptr, text.data(), text.size()); }

  const char* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  operator std::string_view() const { return view(); }

  // The bytes of memory that this slice keeps: its block's.
  std::size_t held() const { return block_ ? block_->capacity : 0; }

  // The part [offset, offset+length); length is clipped to the end. Shares the block.
  Bytes slice(std::size_t offset, std::size_t length = SIZE_MAX) const;
  // A slice for a view that points into this one.
  Bytes slice(std::string_view part) const { return slice(std::size_t(part.data() - data_), part.size()); }

  friend bool operator==(const Bytes& a, const Bytes& b) { return a.view() == b.view(); }

 private:
  friend class Buffer;
  Bytes(internal::Block* block, const char* data, std::size_t size)
      : block_(block), data_(data), size_(size) {}
  internal::Block* block_ = nullptr;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

// A writable block. Not copyable; slices of it may be handed out while it is still being filled behind them.
class Buffer {
 public:
  Buffer() = default;
  // Uninitialised memory of exactly `capacity` bytes.
  explicit Buffer(std::size_t capacity) : block_(internal::Block::allocate(capacity)) {}
  Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Buffer() {
    if (block_) block_->unref();
  }

  char* data() { return block_ ? block_->data() : nullptr; }
  const char* data() const { return block_ ? block_->data() : nullptr; }
  std::size_t capacity() const { return block_ ? block_->capacity : 0; }
  explicit operator bool() const { return block_ != nullptr; }

  // True when no slice of the block is alive: it may be filled again from the start.
  bool unique() const { return block_ && block_->refs.load(std::memory_order_acquire) == 1; }

  Bytes slice(std::size_t offset, std::size_t length) const;
  // Gives the first `length` bytes away and leaves this buffer empty.
  Bytes freeze(std::size_t length) &&;

 private:
  internal::Block* block_ = nullptr;
};

}  // namespace stele
