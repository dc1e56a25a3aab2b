// What becomes of wills, one thing at a time; and against a model that keeps a list.
#include "broker/will_table.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/wire.h"

namespace stele::broker {
namespace {

using ClientKey = WillTable::ClientKey;

const ClientKey kClient(TenantId(), "c");

WillContent content(std::uint32_t delay_s, std::string_view text = "batch") {
  return {.delay_s = delay_s, .qos = 1, .address = Bytes::copy("w"), .batch = Bytes::copy(text)};
}

std::vector<Lsn> lsns(std::initializer_list<std::uint64_t> numbers) {
  std::vector<Lsn> all;
  for (std::uint64_t number : numbers) all.emplace_back(number);
  return all;
}

TEST(WillTable, IsDueAfterItsDelayOrWithTheSessionIfThatEndsFirst) {  // [MQTT-3.1.3-9]
  for (const auto& [delay_s, expiry_s, after_s] :
       {std::tuple(0u, 100u, 0), std::tuple(5u, 100u, 5), std::tuple(5u, 3u, 3), std::tuple(5u, 0u, 0),
        std::tuple(UINT32_MAX, UINT32_MAX, -1)}) {
    WillTable table;
    table.set(kClient, Lsn(7), content(delay_s), WallTime{1000});
    EXPECT_TRUE(table.due(WallTime{Will::kArmed - 1}, 10).empty());
    table.lost(kClient, WallTime{2000}, expiry_s);
    if (after_s < 0) {
      EXPECT_TRUE(table.due(WallTime{std::int64_t{1} << 40}, 10).empty());
      continue;
    }
    const std::int64_t due_ms = 2000 + std::int64_t{after_s} * 1000;
    EXPECT_TRUE(table.due(WallTime{due_ms - 1}, 10).empty());
    EXPECT_EQ(table.due(WallTime{due_ms}, 10), lsns({7}));
    EXPECT_EQ(table.due_of(kClient, WallTime{due_ms}), lsns({7}));
    EXPECT_TRUE(table.due_of({TenantId(1), "c"}, WallTime{due_ms}).empty());
  }
}

TEST(WillTable, GoesWithAGoodbye) {  // [MQTT-3.14.4-3]
  WillTable table;
  table.set(kClient, Lsn(7), content(0), WallTime{1000});
  table.goodbye(kClient);
  EXPECT_FALSE(table.any_of(kClient));
  EXPECT_EQ(table.bytes(), 0u);
  table.set(kClient, Lsn(9), content(5), WallTime{1000});
  EXPECT_TRUE(table.goodbye(Lsn(9)));
  EXPECT_FALSE(table.goodbye(Lsn(9)));
  EXPECT_FALSE(table.lost(Lsn(9), WallTime{1000}));
}

TEST(WillTable, AClientThatComesBackInTimeTakesItAway) {
  WillTable table;
  table.set(kClient, Lsn(7), content(5), WallTime{1000});
  table.lost(kClient, WallTime{1000}, 100);
  table.came_back(kClient, WallTime{5999});
  EXPECT_FALSE(table.any_of(kClient));
  // Too late: it stays, beside that of the new connection.
  table.set(kClient, Lsn(8), content(5), WallTime{6000});
  table.lost(kClient, WallTime{6000}, 100);
  table.came_back(kClient, WallTime{11000});
  table.set(kClient, Lsn(9), content(0), WallTime{11000});
  EXPECT_EQ(table.due(WallTime{11000}, 10), lsns({8}));
  // The other one's end is not its.
  table.goodbye(kClient);
  EXPECT_EQ(table.due_of(kClient, WallTime{11000}), lsns({8}));
  EXPECT_EQ(table.all().size(), 1u);
}

TEST(WillTable, IsDueWhenItsSessionEnds) {
  WillTable table;
  table.set(kClient, Lsn(7), content(50), WallTime{1000});
  table.lost(kClient, WallTime{1000}, 100);
  table.session_ended(kClient, WallTime{3000});
  EXPECT_EQ(table.due(WallTime{3000}, 10), lsns({7}));
}

TEST(WillTable, IsGoneOncePublished) {
  WillTable table;
  table.set(kClient, Lsn(7), content(0), WallTime{1000});
  table.lost(kClient, WallTime{1000}, 0);
  const StreamId stream{TopicId(1), PartitionId(2)};
  EXPECT_FALSE(table.copied(Lsn(7), stream));
  EXPECT_TRUE(table.note_copied(Lsn(7), stream));
  EXPECT_TRUE(table.note_copied(Lsn(7), stream));
  EXPECT_TRUE(table.copied(Lsn(7), stream));
  EXPECT_EQ(table.find(Lsn(7))->second.copied.size(), 1u);
  EXPECT_TRUE(table.published(Lsn(7)));
  EXPECT_FALSE(table.published(Lsn(7)));
  EXPECT_FALSE(table.note_copied(Lsn(7), stream));
  EXPECT_EQ(table.find(Lsn(7)), nullptr);
  EXPECT_TRUE(table.due(WallTime{5000}, 10).empty());
}

TEST(WillTable, TheEarliestIsFirst) {
  WillTable table;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const ClientKey client(TenantId(), std::string(1, static_cast<char>('a' + i)));
    table.set(client, Lsn(10 + i), content(static_cast<std::uint32_t>(5 - i)), WallTime{0});
    table.lost(client, WallTime{0}, 100);
  }
  EXPECT_EQ(table.due(WallTime{3000}, 10), lsns({14, 13, 12}));
  EXPECT_EQ(table.due(WallTime{3000}, 2), lsns({14, 13}));
}

// ---- against a model ------------------------------------------------------------------------------------

struct Modelled {
  ClientKey client;
  Lsn lsn;
  std::uint32_t delay_s;
  std::optional<std::int64_t> due_ms;
};

std::string encoded(const WillTable& table) {
  std::string bytes;
  Writer writer(bytes);
  for (const auto& [id, will] : table.all()) WillTable::encode(writer, id, will);
  return bytes;
}

RC_GTEST_PROP(WillTableModel, AgreesWithAList, ()) {
  WillTable table;
  std::vector<Modelled> model;
  std::int64_t now = 0;
  std::uint64_t next = 1;
  const auto open_one = [&](const ClientKey& client) {
    return std::ranges::find_if(model, [&](const Modelled& one) {
      return one.client == client && (!one.due_ms || *one.due_ms > now);
    });
  };
  const int steps = *rc::gen::inRange(0, 60);
  for (int i = 0; i < steps; ++i) {
    now += *rc::gen::inRange(0, 3) * 500;
    const ClientKey client(TenantId(static_cast<std::uint32_t>(*rc::gen::inRange(0, 2))),
                           std::string(1, static_cast<char>(*rc::gen::inRange('a', 'd'))));
    const auto seconds = static_cast<std::uint32_t>(*rc::gen::inRange(0, 4));
    const WallTime time{now};
    auto mine = open_one(client);
    const bool armed = mine != model.end() && !mine->due_ms;
    switch (*rc::gen::inRange(0, 7)) {
      case 0:
        if (*rc::gen::arbitrary<bool>()) {
          table.session_ended(client, time);
          if (mine != model.end()) mine->due_ms = now;
        } else {
          table.came_back(client, time);
          if (mine != model.end()) model.erase(mine);
        }
        table.set(client, Lsn(next), content(seconds), time);
        model.push_back({client, Lsn(next++), seconds, std::nullopt});
        break;
      case 1:
        table.lost(client, time, seconds);
        if (armed) mine->due_ms = now + std::int64_t{std::min(mine->delay_s, seconds)} * 1000;
        break;
      case 2:
        table.goodbye(client);  // of its connection only
        if (armed) model.erase(mine);
        break;
      case 3:
        table.all_lost(time, [&](const ClientKey& key) { return key.first == TenantId() ? seconds : 0u; });
        for (Modelled& one : model) {
          const std::uint32_t expiry_s = one.client.first == TenantId() ? seconds : 0;
          if (!one.due_ms) one.due_ms = now + std::int64_t{std::min(one.delay_s, expiry_s)} * 1000;
        }
        break;
      case 4: {
        std::vector<Lsn> expected;
        for (const Modelled& one : model) {
          if (one.due_ms && *one.due_ms <= now) expected.push_back(one.lsn);
        }
        auto got = table.due(time, SIZE_MAX);
        std::ranges::sort(got);
        RC_ASSERT(got == expected);
        for (Lsn lsn : got) RC_ASSERT(table.published(lsn));
        std::erase_if(model, [&](const Modelled& one) { return one.due_ms && *one.due_ms <= now; });
        break;
      }
      case 5:
        if (mine == model.end()) break;
        RC_ASSERT(table.lost(mine->lsn, time));
        if (armed) mine->due_ms = now;
        break;
      default: {
        WillTable again;
        const std::string bytes = encoded(table);
        Reader reader(bytes);
        while (reader.ok() && !reader.at_end()) again.decode(reader, Lsn(next), time);
        RC_ASSERT(reader.ok());
        RC_ASSERT(encoded(again) == bytes);
        RC_ASSERT(again.bytes() == table.bytes());
        table = std::move(again);
      }
    }
    RC_ASSERT(table.all().size() == model.size());
    std::uint64_t bytes = 0;
    for (const Modelled& one : model) {
      const auto* found = table.find(one.lsn);
      RC_ASSERT(found != nullptr);
      RC_ASSERT(found->first.first == one.client);
      RC_ASSERT(found->second.due_at_ms == one.due_ms.value_or(Will::kArmed));
      bytes += WillTable::bytes_of(one.client, found->second.content);
    }
    RC_ASSERT(table.bytes() == bytes);
  }
}

TEST(WillTable, TakesNoDamagedSnapshot) {
  WillTable table;
  table.set(kClient, Lsn(7), content(5), WallTime{1000});
  table.lost(kClient, WallTime{1000}, 100);
  table.note_copied(Lsn(7), {TopicId(1), PartitionId(2)});
  const std::string bytes = encoded(table);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    WillTable again;
    Reader reader(std::string_view(bytes).substr(0, cut));
    again.decode(reader, Lsn(8), WallTime{1000});
    EXPECT_TRUE(reader.failed()) << cut;
  }
  const auto refused = [](const std::string& text, Lsn end, WallTime time) {
    WillTable again;
    Reader reader(text);
    while (reader.ok() && !reader.at_end()) again.decode(reader, end, time);
    return reader.failed();
  };
  EXPECT_FALSE(refused(bytes, Lsn(8), WallTime{1000}));
  EXPECT_TRUE(refused(bytes, Lsn(7), WallTime{1000}));          // of an entry that is still to come
  EXPECT_TRUE(refused(bytes + bytes, Lsn(8), WallTime{1000}));  // twice
  std::string two = bytes;
  Writer writer(two);
  WillTable::encode(writer, {kClient, Lsn(9)}, {.content = content(0), .copied = {}});
  EXPECT_TRUE(refused(two, Lsn(10), WallTime{1000}));  // two that wait
  EXPECT_FALSE(refused(two, Lsn(10), WallTime{6000}));
}

}  // namespace
}  // namespace stele::broker
