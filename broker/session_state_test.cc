#include "broker/session_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "broker/shard_testing.h"
#include "runtime/random.h"

namespace stele::broker {
namespace {

using runtime::Random;
using testing::queue_of;

SessionState again(const SessionState& session, Lsn end) {
  std::string bytes;
  Writer writer(bytes);
  session.encode(writer);
  Reader reader(bytes);
  SessionState decoded = SessionState::decode(reader, 3, end);
  EXPECT_TRUE(reader.ok() && reader.at_end());
  EXPECT_EQ(decoded.queued_bytes(), session.queued_bytes());
  std::string twice;
  Writer second(twice);
  decoded.encode(second);
  EXPECT_EQ(bytes, twice);
  return decoded;
}

struct ModelItem {
  QueueItem item;
  std::vector<std::uint32_t> ids;
  bool settled = false;
};

TEST(SessionQueue, AgreesWithAList) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    QueueLimits limits;
    if (random.chance(1, 2)) limits.messages = random.below(20);
    if (random.chance(1, 2)) limits.bytes = random.below(2000);
    SessionState session;
    session.client_id = "c";
    std::deque<ModelItem> model;
    std::uint64_t dropped = 0;
    Lsn lsn;
    std::uint32_t index = 0;
    const auto unsettled_bytes = [&] {
      std::uint64_t bytes = 0;
      for (const ModelItem& one : model) bytes += one.settled ? 0 : one.item.bytes;
      return bytes;
    };
    const auto leave = [&] {
      while (!model.empty() && model.front().settled) model.pop_front();
    };
    for (int step = 0; step < 400; ++step) {
      if (random.chance(1, 2)) {
        random.chance(1, 3) ? (void)++index : (void)(lsn += random.below(3) + 1, index = 0);
        QueueItem item{.lsn = lsn, .index = index, .bytes = static_cast<std::uint32_t>(random.below(300))};
        item.qos = static_cast<std::uint8_t>(random.between(1, 2));
        item.retain = random.chance(1, 2);
        std::vector<std::uint32_t> ids;
        while (random.chance(1, 4)) ids.push_back(static_cast<std::uint32_t>(random.below(5)));
        const bool fits = limits.messages > 0 && item.bytes <= limits.bytes;
        if (!fits) ++dropped;
        while (fits && (model.size() >= limits.messages || unsettled_bytes() + item.bytes > limits.bytes)) {
          ++dropped;
          model.pop_front();
          leave();
        }
        if (fits) model.push_back({item, ids});
        EXPECT_EQ(session.push(item, ids, limits), fits);
      } else if (!model.empty() && random.chance(9, 10)) {
        ModelItem& one = model[random.below(model.size())];
        EXPECT_EQ(session.settle(one.item.lsn, one.item.index), !one.settled);
        one.settled = true;
        leave();
      } else {
        EXPECT_FALSE(session.settle(lsn + 1, 0));
        EXPECT_FALSE(session.settle(Lsn(0), 77));
      }
      ASSERT_EQ(session.dropped, dropped);
      ASSERT_EQ(session.queued(), model.size());
      ASSERT_EQ(session.queued_bytes(), unsettled_bytes());
      ASSERT_EQ(session.lsn_needed(), model.empty() ? std::nullopt : std::optional(model.front().item.lsn));
      for (std::size_t i = 0; i < model.size(); ++i) {
        const QueueItem& item = session.at(session.first() + i);
        ASSERT_EQ(item, model[i].item);
        ASSERT_EQ(item.qos, model[i].item.qos);
        ASSERT_EQ(item.retain, model[i].item.retain);
        ASSERT_EQ(item.settled, model[i].settled);
        ASSERT_EQ(session.subscription_ids(item), model[i].ids);
      }
      const Lsn from(random.below(lsn.value + 2));
      const auto at = static_cast<std::size_t>(session.position_of(from) - session.first());
      ASSERT_EQ(at,
                static_cast<std::size_t>(std::count_if(
                    model.begin(), model.end(), [&](const ModelItem& one) { return one.item.lsn < from; })));
      if (random.chance(1, 20)) session = again(session, lsn + 1);
    }
  }
}

TEST(SessionState, ExpiresAfterItsInterval) {
  SessionState session;
  session.expiry_s = 10;
  session.closed_at_ms = 5000;
  EXPECT_FALSE(session.expired(WallTime{14999}));
  EXPECT_TRUE(session.expired(WallTime{15000}));
  session.expiry_s = UINT32_MAX;  // [MQTT-3.1.2-23]
  EXPECT_FALSE(session.expired(WallTime{std::int64_t{1} << 60}));
  session.expiry_s = 0;
  EXPECT_TRUE(session.expired(WallTime{5000}));
  session.connected = true;
  EXPECT_FALSE(session.expired(WallTime{15000}));
}

}  // namespace
}  // namespace stele::broker
