#include "journal/replica_codec.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace stele::journal::wire {
namespace {

using storage::FenceAnswer;
using storage::LogEntry;
using storage::SegmentInfo;

std::uint64_t number() {
  return *rc::gen::arbitrary<std::uint64_t>();
}

std::string text(std::size_t most) {
  return std::string(*rc::gen::inRange<std::size_t>(0, most), static_cast<char>(*rc::gen::inRange(0, 256)));
}

LogEntry entry() {
  // Around the size from which a piece is a slice of its own.
  const std::size_t most = *rc::gen::element<std::size_t>(1, 20, 2100);
  return {.head = Bytes::copy(text(most)), .body = Bytes::copy(text(most))};
}

SegmentInfo info() {
  SegmentInfo made;
  made.id = SegmentId(number());
  made.begin = number() >> 2;
  made.stored = made.begin + (number() >> 2);
  made.end = made.stored + (number() >> 2);
  made.fence = Epoch(number());
  made.bytes = number();
  made.certain = *rc::gen::arbitrary<bool>();
  return made;
}

bool same(const SegmentInfo& a, const SegmentInfo& b) {
  return a.id == b.id && a.begin == b.begin && a.stored == b.stored && a.end == b.end && a.fence == b.fence &&
         a.bytes == b.bytes && a.certain == b.certain;
}

Bytes joined(const std::vector<Bytes>& parts) {
  std::string all;
  for (const Bytes& part : parts) all += part.view();
  return Bytes::copy(all);
}

void expect_same(const std::vector<LogEntry>& a, const std::vector<LogEntry>& b) {
  RC_ASSERT(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    RC_ASSERT(std::string(a[i].head.view()) + std::string(a[i].body.view()) ==
              std::string(b[i].head.view()) + std::string(b[i].body.view()));
  }
}

Append some_append() {
  Append append{.disk = number(),
                .segment = SegmentId(number()),
                .epoch = Epoch(number()),
                .first = number() >> 1,
                .entries = {}};
  for (int i = *rc::gen::inRange(1, 12); i > 0; --i) append.entries.push_back(entry());
  return append;
}

TEST(ReplicaCodec, AppendsComeAsTheyWere) {
  EXPECT_TRUE(rc::check([] {
    const Append sent = some_append();
    const std::vector<Bytes> parts = encode(sent);
    const auto got = decode<Append>(joined(parts));
    RC_ASSERT(got.has_value());
    RC_ASSERT(got->disk == sent.disk);
    RC_ASSERT(got->segment == sent.segment);
    RC_ASSERT(got->epoch == sent.epoch);
    RC_ASSERT(got->first == sent.first);
    expect_same(got->entries, sent.entries);
    const auto entries = decode<Entries>(joined(encode(Entries{sent.entries})));
    RC_ASSERT(entries.has_value());
    expect_same(entries->entries, sent.entries);
  }));
}

TEST(ReplicaCodec, LargePiecesAreNotCopied) {
  const Bytes large = Bytes::copy(std::string(5000, 'x'));
  const std::vector<Bytes> parts = encode(Append{.disk = 1,
                                                 .segment = SegmentId(2),
                                                 .epoch = Epoch(3),
                                                 .first = 4,
                                                 .entries = {{large, large}, {large, {}}}});
  ASSERT_EQ(parts.size(), 4u);
  for (std::size_t i = 1; i < parts.size(); ++i) EXPECT_EQ(parts[i].data(), large.data());
  // Nor are those that come in.
  const Bytes payload = joined(parts);
  const auto got = decode<Append>(payload);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->entries[1].head.data(), payload.data() + payload.size() - 5000);
}

TEST(ReplicaCodec, TheOthersComeAsTheyWere) {
  EXPECT_TRUE(rc::check([] {
    Fence fence{.disk = number(), .requests = {}};
    FenceAnswers answers;
    Describe describe{.disk = number(), .segments = {}};
    Descriptions descriptions;
    Listed listed{.segments = {}, .more = *rc::gen::arbitrary<bool>()};
    for (int i = *rc::gen::inRange(0, 10); i > 0; --i) {
      fence.requests.push_back({SegmentId(number()), Epoch(number()), *rc::gen::arbitrary<bool>()});
      describe.segments.push_back(SegmentId(number()));
      listed.segments.push_back(info());
      if (*rc::gen::arbitrary<bool>()) {
        const std::uint64_t begin = number() >> 1;
        answers.answers.emplace_back(
            FenceAnswer{begin, begin + (number() >> 1), *rc::gen::arbitrary<bool>()});
        descriptions.segments.emplace_back(info());
      } else {
        answers.answers.push_back(error(ErrorCode::kFenced, text(40)));
        descriptions.segments.emplace_back(std::nullopt);
      }
    }
    const auto got_fence = decode<Fence>(encode(fence));
    RC_ASSERT(got_fence && got_fence->disk == fence.disk &&
              got_fence->requests.size() == fence.requests.size());
    for (std::size_t i = 0; i < fence.requests.size(); ++i) {
      RC_ASSERT(got_fence->requests[i].segment == fence.requests[i].segment);
      RC_ASSERT(got_fence->requests[i].epoch == fence.requests[i].epoch);
      RC_ASSERT(got_fence->requests[i].fresh == fence.requests[i].fresh);
    }
    const auto got_answers = decode<FenceAnswers>(encode(answers));
    RC_ASSERT(got_answers && got_answers->answers.size() == answers.answers.size());
    for (std::size_t i = 0; i < answers.answers.size(); ++i) {
      const auto &a = answers.answers[i], &b = got_answers->answers[i];
      RC_ASSERT(a.has_value() == b.has_value());
      if (a) RC_ASSERT(a->begin == b->begin && a->end == b->end && a->certain == b->certain);
      if (!a) RC_ASSERT(a.error().code == b.error().code && a.error().message == b.error().message);
    }
    const auto got_describe = decode<Describe>(encode(describe));
    RC_ASSERT(got_describe && got_describe->disk == describe.disk &&
              got_describe->segments == describe.segments);
    const auto got_descriptions = decode<Descriptions>(encode(descriptions));
    RC_ASSERT(got_descriptions && got_descriptions->segments.size() == descriptions.segments.size());
    for (std::size_t i = 0; i < descriptions.segments.size(); ++i) {
      const auto &a = descriptions.segments[i], &b = got_descriptions->segments[i];
      RC_ASSERT(a.has_value() == b.has_value() && (!a || same(*a, *b)));
    }
    const auto got_listed = decode<Listed>(encode(listed));
    RC_ASSERT(got_listed && got_listed->more == listed.more &&
              std::ranges::equal(got_listed->segments, listed.segments, same));
    const List list{.disk = number(), .after = SegmentId(number()), .limit = 17};
    const auto got_list = decode<List>(encode(list));
    RC_ASSERT(got_list && got_list->disk == list.disk && got_list->after == list.after &&
              got_list->limit == 17);
    RC_ASSERT(!decode<List>(encode(List{}))->after);
    const Trim trim{.disk = number(), .segment = SegmentId(number()), .below = number()};
    const auto got_trim = decode<Trim>(encode(trim));
    RC_ASSERT(got_trim && got_trim->disk == trim.disk && got_trim->segment == trim.segment &&
              got_trim->below == trim.below);
    const auto got_remove = decode<Remove>(encode(Remove{trim.disk, describe.segments}));
    RC_ASSERT(got_remove && got_remove->disk == trim.disk && got_remove->segments == describe.segments);
    const auto got_read = decode<Read>(encode(Read{trim.disk, trim.segment, trim.below, 5}));
    RC_ASSERT(got_read && got_read->disk == trim.disk && got_read->index == trim.below &&
              got_read->max_bytes == 5);
    RC_ASSERT(decode<Stored>(encode(Stored{trim.below}))->end == trim.below);
    RC_ASSERT(decode<Status>(encode(Status{trim.disk}))->disk == trim.disk);
    RC_ASSERT(decode<StatusAnswer>(encode(StatusAnswer{true}))->has_space);
    RC_ASSERT(!decode<StatusAnswer>(encode(StatusAnswer{false}))->has_space);
  }));
}

// Whatever comes, it is refused or makes sense, and what is cut off is noticed.
TEST(ReplicaCodec, WhatIsCutOrGarbledDoesNoHarm) {
  EXPECT_TRUE(rc::check([] {
    const Append sent = some_append();
    std::string bytes(joined(encode(sent)).view());
    if (*rc::gen::arbitrary<bool>()) {
      bytes.resize(*rc::gen::inRange<std::size_t>(0, bytes.size()));
      RC_ASSERT(!decode<Append>(Bytes::copy(bytes)));
    }
    for (int i = *rc::gen::inRange(0, 5); i > 0 && !bytes.empty(); --i)
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = static_cast<char>(*rc::gen::inRange(0, 256));
    const Bytes payload = Bytes::copy(bytes);
    const auto append = decode<Append>(payload);
    if (append) RC_ASSERT(!append->entries.empty());
    (void)decode<Entries>(payload);
    (void)decode<Fence>(payload);
    (void)decode<FenceAnswers>(payload);
    (void)decode<Describe>(payload);
    (void)decode<Descriptions>(payload);
    (void)decode<List>(payload);
    (void)decode<Listed>(payload);
    (void)decode<Read>(payload);
    (void)decode<Remove>(payload);
  }));
}

TEST(ReplicaCodec, WhatIsAppendedByALaterVersionIsNotRead) {
  const auto more = [](const Bytes& bytes) { return Bytes::copy(std::string(bytes.view()) + "later"); };
  EXPECT_EQ(decode<Stored>(more(encode(Stored{7})))->end, 7u);
  EXPECT_EQ(decode<Trim>(more(encode(Trim{1, SegmentId(2), 3})))->below, 3u);
  EXPECT_EQ(decode<Remove>(more(encode(Remove{1, {SegmentId(2)}})))->segments.size(), 1u);
}

}  // namespace
}  // namespace stele::journal::wire
