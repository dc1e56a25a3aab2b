#include "runtime/uv/buffers.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace stele::runtime::uv {
namespace {

std::string joined(const Output& output) {
  std::string text;
  for (const Bytes& slice : output.slices()) text += slice.view();
  return text;
}

std::string some_bytes() {
  const std::size_t size = *rc::gen::weightedOneOf<std::size_t>(
      {{8, rc::gen::inRange<std::size_t>(1, 50)}, {2, rc::gen::inRange<std::size_t>(1, 70'000)}});
  return std::string(size, *rc::gen::inRange('a', 'z'));
}

// An Output is a queue of bytes, whatever way they came in and however they go.
RC_GTEST_PROP(Output, IsAQueueOfBytes, ()) {
  OutputPool pool;
  std::string model;
  auto output = pool.take();
  const int steps = *rc::gen::inRange(1, 60);
  for (int step = 0; step < steps; ++step) {
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const std::string bytes = some_bytes();
        output->append_copy(bytes);
        model += bytes;
        break;
      }
      case 4:
      case 5: {
        const std::string bytes = some_bytes();
        output->append(Bytes::copy(bytes));
        model += bytes;
        break;
      }
      case 6: {
        output->seal();
        RC_ASSERT(joined(*output) == model);
        const std::size_t sent = *rc::gen::inRange<std::size_t>(0, model.size() + 1);
        output->drop_front(sent);
        model.erase(0, sent);
        break;
      }
      default:
        pool.give(std::move(output));
        model.clear();
        output = pool.take();
        break;
    }
    RC_ASSERT(output->size() == model.size());
  }
  output->seal();
  RC_ASSERT(joined(*output) == model);
}

TEST(Output, KeepsWhatALongerLivedSliceShowsOfIt) {
  OutputPool pool;
  auto output = pool.take();
  output->append_copy("first");
  output->seal();
  const Bytes kept = output->slices()[0];
  pool.give(std::move(output));
  output = pool.take();
  output->append_copy("other");
  EXPECT_EQ(kept, Bytes::literal("first"));
}

TEST(OutputPool, KeepsNoMoreThanItsLimit) {
  OutputPool pool;
  std::vector<std::unique_ptr<Output>> taken;
  for (int i = 0; i < 1000; ++i) {
    taken.push_back(pool.take());
    for (int j = 0; j < 20; ++j) taken.back()->append_copy(std::string(10'000, 'x'));
  }
  for (auto& output : taken) pool.give(std::move(output));
  std::size_t kept = 0;
  for (int i = 0; i < 1000; ++i) kept += pool.take()->memory();
  EXPECT_GT(kept, std::size_t{1} << 20);
  EXPECT_LE(kept, std::size_t{4} << 20);
}

// What the handler keeps stays as it was; what it does not is read over.
RC_GTEST_PROP(ReadSlab, LeavesKeptSlicesAlone, ()) {
  ReadSlab slab;
  std::vector<std::pair<Bytes, std::string>> kept;
  const int reads = *rc::gen::inRange(1, 100);
  for (int i = 0; i < reads; ++i) {
    const std::span<char> window = slab.window();
    RC_ASSERT(window.size() >= std::size_t{64 << 10});
    RC_ASSERT(slab.owns(window.data()));
    const std::size_t size = *rc::gen::inRange<std::size_t>(1, window.size() + 1);
    const std::string content(size, static_cast<char>('a' + i % 26));
    std::memcpy(window.data(), content.data(), size);
    Bytes bytes = slab.take(size);
    RC_ASSERT(bytes.view() == content);
    if (*rc::gen::inRange(0, 3) == 0) kept.emplace_back(bytes, content);
    if (!kept.empty() && *rc::gen::inRange(0, 8) == 0) kept.erase(kept.begin());
    bytes = Bytes();
    slab.settle();
  }
  for (const auto& [bytes, content] : kept) RC_ASSERT(bytes.view() == content);
}

TEST(ReadSlab, FillsTheSameMemoryWhileNobodyKeepsIt) {
  ReadSlab slab;
  const char* first = slab.window().data();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(slab.window().data(), first);
    slab.take(1000);
    slab.settle();
  }
}

}  // namespace
}  // namespace stele::runtime::uv
