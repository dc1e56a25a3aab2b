// Snapshots of a queue's state, bent in any way: records, each behind its length. What is taken must work: it
// is consumed from, settled and emptied, and has a snapshot.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/wire.h"
#include "broker/queue/queue_dispatch.h"
#include "broker/queue/queue_state.h"

namespace {

using namespace stele;
using namespace stele::broker::queue;

constexpr Lsn kEnd(std::uint64_t{1} << 40);
constexpr WallTime kNow{1'700'000'000'000};

bool take(std::string_view bytes, QueueState& state) {
  QueueStateDecoder decoder(kEnd);
  for (Reader reader(bytes); !reader.at_end();) {
    Reader record(reader.sized());
    if (reader.failed()) return false;
    decoder.add(record);
    if (record.failed() || !record.at_end()) return false;
  }
  if (!decoder.done()) return false;
  state = decoder.take();
  return true;
}

void apply(QueueState& state, QueueFacts& facts) {
  for (const QueueFact& fact : facts) state.apply(fact, kNow);
  facts.clear();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  QueueState state;
  if (!take({reinterpret_cast<const char*>(data), size}, state)) return 0;
  std::string again;
  state.encode([&](std::string_view record) { Writer(again).sized(record); });
  QueueState copy;
  STELE_ASSERT(take(again, copy) && copy.hash() == state.hash());

  if (state.epoch().value < UINT64_MAX) state.take_over(state.epoch() + 1);
  QueueDispatch dispatch(state, {}, kNow);
  ConsumerSpec consumer;
  consumer.id = ConsumerId(1);
  consumer.prefetch = 100;
  (void)dispatch.consume(consumer);
  state.enqueue({{kEnd, 0}, 1, 255, {}}, kNow);
  std::vector<Delivery> deliveries;
  QueueFacts facts;
  while (dispatch.deliver(kNow, 1000, UINT64_MAX, deliveries, facts)) apply(state, facts);
  apply(state, facts);
  std::vector<Acquisition> all;
  for (const Delivery& one : deliveries) all.push_back(one.acquisition);
  for (const Outcome outcome : {Outcome::kRequeue, Outcome::kAck}) {
    dispatch.settle(consumer.channel, all, outcome, facts);
    apply(state, facts);
  }
  STELE_ASSERT(dispatch.unsettled() == 0);
  while (dispatch.overflow(1000, facts)) apply(state, facts);
  apply(state, facts);
  dispatch.purge(facts);
  apply(state, facts);
  STELE_ASSERT(state.size() == 0 && state.bytes() == 0 && dispatch.ready() == 0);
  if (const auto dead = state.dead_letter_from(0)) state.forwarded(dead->number, UINT64_MAX);
  STELE_ASSERT(state.dead_letters() == 0 && !state.lsn_needed());
  return 0;
}
