// Memory that a core lends to its connections, so that an idle one holds none.
#pragma once

#include <uv.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace stele::runtime::uv {

// Where bytes are read to. Slices of it go to the handler; what it keeps stays, and reading goes on behind it
// or in a fresh block. While nobody keeps anything, the same (cached) memory is filled again and again.
class ReadSlab {
 public:
  // At least kWindowMin bytes to read into.
  std::span<char> window();
  bool owns(const char* data) const { return data == window_; }
  // The first `size` bytes of the window, which are then no longer part of it.
  Bytes take(std::size_t size);
  // Once the handler has returned: starts over if it kept nothing.
  void settle();

 private:
  static constexpr std::size_t kCapacity = 256 << 10;
  static constexpr std::size_t kWindowMin = 64 << 10;
  static constexpr std::size_t kWindowMax = 128 << 10;
  Buffer buffer_;
  std::size_t used_ = 0;
  const char* window_ = nullptr;
};

// What a connection has to send: slices, and a buffer in which small writes are joined to one slice.
class Output {
 public:
  void append_copy(std::string_view bytes);
  void append(Bytes slice);
  std::size_t size() const { return size_; }
  // Makes a slice of what was copied last. slices() is whole after it.
  void seal();
  std::span<const Bytes> slices() const { return slices_; }
  // Forgets the first `bytes` of the sealed output; they were sent.
  void drop_front(std::size_t bytes);
  // Empties it, keeping the memory that can be used again.
  void recycle();
  std::size_t memory() const { return chunk_.capacity() + slices_.capacity() * sizeof(Bytes); }

  uv_write_t request;  // while libuv sends the rest of it

 private:
  static constexpr std::size_t kChunkMin = 1 << 10;
  static constexpr std::size_t kChunkMax = 64 << 10;
  static constexpr std::size_t kCopiedAlone = 16 << 10;  // larger copies get a block of their own
  std::vector<Bytes> slices_;
  std::size_t size_ = 0;
  Buffer chunk_;
  std::size_t begin_ = 0, end_ = 0;  // the part of chunk_ that is not in slices_ yet
};

class OutputPool {
 public:
  std::unique_ptr<Output> take();
  void give(std::unique_ptr<Output> output);

 private:
  static constexpr std::size_t kKeptBytesMax = 4 << 20;
  static constexpr std::size_t kKeptMax = 4096;
  std::vector<std::unique_ptr<Output>> free_;
  std::size_t free_bytes_ = 0;
};

}  // namespace stele::runtime::uv
