#include "runtime/uv/buffers.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace stele::runtime::uv {

std::span<char> ReadSlab::window() {
  if (!buffer_) {
    buffer_ = Buffer(kCapacity);
    used_ = 0;
  }
  window_ = buffer_.data() + used_;
  return {buffer_.data() + used_, std::min(kCapacity - used_, kWindowMax)};
}

Bytes ReadSlab::take(std::size_t size) {
  STELE_ASSERT(buffer_ && size <= kCapacity - used_);
  Bytes taken = buffer_.slice(used_, size);
  used_ += size;
  return taken;
}

void ReadSlab::settle() {
  if (buffer_.unique()) {
    used_ = 0;
  } else if (kCapacity - used_ < kWindowMin) {
    buffer_ = Buffer();
  }
}

void Output::append_copy(std::string_view bytes) {
  if (bytes.size() >= kCopiedAlone) return append(Bytes::copy(bytes));
  if (chunk_.capacity() - end_ < bytes.size()) {
    seal();
    std::size_t capacity = std::clamp(chunk_.capacity() * 4, kChunkMin, kChunkMax);
    while (capacity < bytes.size()) capacity *= 4;
    chunk_ = Buffer(capacity);
    begin_ = end_ = 0;
  }
  std::memcpy(chunk_.data() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
  size_ += bytes.size();
}

void Output::append(Bytes slice) {
  seal();
  size_ += slice.size();
  slices_.push_back(std::move(slice));
}

void Output::seal() {
  if (begin_ == end_) return;
  slices_.push_back(chunk_.slice(begin_, end_ - begin_));
  begin_ = end_;
}

void Output::drop_front(std::size_t bytes) {
  STELE_ASSERT(bytes <= size_ && begin_ == end_);
  size_ -= bytes;
  auto whole = slices_.begin();
  while (whole != slices_.end() && bytes >= whole->size()) bytes -= (whole++)->size();
  slices_.erase(slices_.begin(), whole);
  if (bytes > 0) slices_.front() = slices_.front().slice(bytes);
}

void Output::recycle() {
  slices_.clear();
  if (slices_.capacity() > 1024) slices_ = {};
  size_ = 0;
  begin_ = end_ = 0;
  if (chunk_ && !chunk_.unique()) chunk_ = Buffer();
}

std::unique_ptr<Output> OutputPool::take() {
  if (free_.empty()) return std::make_unique<Output>();
  auto output = std::move(free_.back());
  free_.pop_back();
  free_bytes_ -= output->memory();
  return output;
}

void OutputPool::give(std::unique_ptr<Output> output) {
  output->recycle();
  if (free_.size() >= kKeptMax || free_bytes_ + output->memory() > kKeptBytesMax) return;
  free_bytes_ += output->memory();
  free_.push_back(std::move(output));
}

}  // namespace stele::runtime::uv
