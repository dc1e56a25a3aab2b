// A session that is away for longer than its queue lasts. What is dropped is the oldest: what it gets when it
// is back is the end of what was acknowledged, in order and without a gap.
#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sim/workloads/rounds.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// The fewest messages that a queue keeps, however many there are in the shard: what gives is an eighth of the
// longest.
constexpr std::uint64_t kAlwaysKept = 8;

// So many sessions of one shard or another, of which each may take what others would need.
constexpr std::size_t kSessions = 3;

class Overrun final : public Rounds {
 public:
  Overrun(runtime::Runtime& core, Workload& shared) : Rounds(core, shared, "overrun") {}

  // New sessions each time: some of them are filled while they are away, and then come back, one after the
  // other.
  Task<Result<void>> round() override {
    if (!is_low("broker.session_queue_messages")) co_return Result<void>();
    ++rounds_;
    mqtt::Connect connect;
    connect.client_id = "overrun-sender";
    STELE_CO_TRY(const Peer sender, co_await open(std::move(connect)));
    for (std::size_t i = 0; i < kSessions; ++i) {
      all_[i] = {.id = "overrun-" + std::to_string(i), .sent = {}, .numbered = {}};
      STELE_CO_TRY(const Peer begun, co_await enter_session(all_[i], true));
      STELE_CO_TRY(const auto granted, co_await subscribe(*begun, topic(all_[i]), mqtt::Qos::kExactlyOnce));
      if (is_error(granted)) co_return refused();
      // Some have identifiers when they are dropped, and the client may hold them.
      if (random().chance(1, 2)) STELE_CO_CHECK(co_await give_some(all_[i], *sender, *begun));
      begun->drop();
    }
    const std::size_t filled = rounds_ % 2 == 0 ? kSessions : 1 + random().below(kSessions);
    for (std::size_t i = 0; i < filled; ++i) STELE_CO_CHECK(co_await fill(all_[i], *sender));
    sender->send(mqtt::Disconnect{});
    for (std::size_t i = 0; i < filled; ++i) {
      std::vector<std::uint64_t> got;
      // It has all once it has the last one. What fails meanwhile is over after a while.
      const runtime::Instant until = runtime_.now() + 5min;
      while (got.empty() || got.back() != last_of(all_[i])) {
        (void)co_await come_back(all_[i], got);
        if (runtime_.now() > until) break;
      }
      judge(all_[i], got, filled);
    }
    co_return Result<void>();
  }

 private:
  struct Sent {
    std::uint64_t number;
    bool fits;
  };
  struct Session {
    std::string id;
    std::vector<Sent> sent;            // and acknowledged
    std::set<std::uint64_t> numbered;  // that it was sent before it went
  };
  // What an earlier round has sent may come late.
  std::string topic(const Session& session) const {
    return "overrun/" + std::to_string(rounds_) + "/" + session.id;
  }
  static std::uint64_t number_of(std::string_view payload) { return std::stoull(std::string(payload)); }
  static std::unexpected<Error> refused() { return error(ErrorCode::kUnavailable, "refused"); }

  Task<Result<Peer>> enter_session(const Session& session, bool clean) {
    mqtt::Connect connect;
    connect.client_id = session.id;
    connect.clean_start = clean;
    connect.session_expiry_s = 3600;
    STELE_CO_TRY(Entered entered, co_await enter(std::move(connect)));
    if (!entered.in()) co_return refused();
    if (!clean && !entered.session_present) fail("the session of " + session.id + " is gone");
    co_return std::move(entered.peer);
  }

  Task<Result<void>> give_some(Session& session, MqttPeer& sender, MqttPeer& receiver) {
    for (int i = 0; i < 3; ++i) STELE_CO_CHECK(co_await send(session, sender, 20, true));
    // There may be room for one only that it does not acknowledge.
    while (session.numbered.size() < 3) {
      const auto one = co_await receive(receiver, session.numbered.empty() ? 10s : 500ms);
      if (!one && one.error().code == ErrorCode::kTimedOut && !session.numbered.empty()) break;
      if (!one) co_return std::unexpected(one.error());
      session.numbered.insert(number_of(one->payload));
    }
    co_return Result<void>();
  }

  // With more than it keeps, of which some is more than it ever does.
  Task<Result<void>> fill(Session& session, MqttPeer& sender) {
    const std::uint64_t limit = this->limit("broker.session_queue_messages");
    const std::size_t too_large = this->limit("broker.session_queue_bytes") + 100;
    const bool large = random().chance(1, 3);
    for (std::uint64_t i = 0; i < limit + limit / 2; ++i) {
      const std::size_t size = large && i % 8 == 0 ? too_large : 20;
      STELE_CO_CHECK(co_await send(session, sender, size, random().chance(1, 2)));
    }
    co_return Result<void>();
  }

  // Until it is acknowledged; an error otherwise, and then nobody knows what is in the queue.
  Task<Result<void>> send(Session& session, MqttPeer& sender, std::size_t size, bool exactly_once) {
    const std::uint64_t number = ++last_;
    std::string payload = std::to_string(number);
    payload.resize(std::max(size, payload.size()), ' ');
    const std::uint16_t id = next_id_ = static_cast<std::uint16_t>(next_id_ % 60'000 + 1);
    sender.publish(topic(session), payload, exactly_once ? 2 : 1, id, false, false);
    while (true) {
      STELE_CO_TRY(const ReceivedPacket answer, co_await sender.next(10s));
      if (const auto* ack = std::get_if<mqtt::Puback>(&answer.packet)) {
        if (is_error(ack->reason)) co_return refused();
        break;
      }
      if (const auto* received = std::get_if<mqtt::Pubrec>(&answer.packet)) {
        if (is_error(received->reason)) co_return refused();
        sender.send(mqtt::Pubrel{.packet_id = id});
      }
      if (std::holds_alternative<mqtt::Pubcomp>(answer.packet)) break;
    }
    session.sent.push_back({number, payload.size() <= limit("broker.session_queue_bytes")});
    co_return Result<void>();
  }

  // What comes until nothing does, or the connection ends.
  Task<bool> come_back(Session& session, std::vector<std::uint64_t>& got) {
    auto entered = co_await enter_session(session, false);
    if (!entered) co_return false;
    MqttPeer& peer = **entered;
    bool pinged = false;
    while (true) {
      auto packet = co_await peer.next(5s);
      if (!packet && (packet.error().code != ErrorCode::kTimedOut || pinged)) co_return false;
      if (!packet) {
        peer.send(mqtt::Pingreq{});
        pinged = true;
        continue;
      }
      // Nothing came for a while before the ping, and nothing came until its answer.
      if (std::holds_alternative<mqtt::Pingresp>(packet->packet) && std::exchange(pinged, false))
        co_return true;
      const auto* publish = std::get_if<mqtt::Publish>(&packet->packet);
      if (publish) {
        pinged = false;
        const std::uint64_t number = number_of(publish->payload);
        if (std::ranges::find(got, number) == got.end()) got.push_back(number);
        const bool twice = publish->qos == mqtt::Qos::kExactlyOnce;
        if (twice) peer.send(mqtt::Pubrec{.packet_id = publish->packet_id});
        if (!twice) peer.send(mqtt::Puback{.packet_id = publish->packet_id});
      }
      const auto* release = std::get_if<mqtt::Pubrel>(&packet->packet);
      if (release) peer.send(mqtt::Pubcomp{.packet_id = release->packet_id});
    }
  }

  static std::uint64_t last_of(const Session& session) {
    const auto last =
        std::find_if(session.sent.rbegin(), session.sent.rend(), [](const Sent& one) { return one.fits; });
    return last == session.sent.rend() ? 0 : last->number;
  }

  void judge(const Session& session, const std::vector<std::uint64_t>& got, std::size_t filled) {
    const auto had = [&](std::uint64_t one) { return std::ranges::find(got, one) != got.end(); };
    std::vector<std::uint64_t> could;
    for (const Sent& one : session.sent) {
      if (one.fits) could.push_back(one.number);
      if (!one.fits && had(one.number)) fail("is sent what is larger than its queue");
      if (!one.fits) show("too-large-left-out");
    }
    const std::uint64_t most = std::min<std::uint64_t>(could.size(), limit("broker.session_queue_messages"));
    const std::uint64_t least = filled == 1 ? most : std::min(most, kAlwaysKept);
    if (got.size() < least || got.size() > most) {
      return fail("of " + std::to_string(could.size()) + " messages " + std::to_string(got.size()) +
                  " were kept");
    }
    if (!std::equal(got.rbegin(), got.rend(), could.rbegin()))
      return fail("what was kept is not the end of what was sent, in order");
    if (got.size() < could.size()) show("oldest-dropped");
    if (got.size() < most) show("queues-shortened");
    if (std::ranges::any_of(session.numbered, [&](std::uint64_t one) { return !had(one); }))
      show("numbered-dropped");
  }

  std::array<Session, kSessions> all_;
  std::uint64_t last_ = 0, rounds_ = 0;
  std::uint16_t next_id_ = 0;
};

}  // namespace

Task<void> run_overrun(runtime::Runtime& runtime, Workload& workload) {
  return run_rounds(runtime, workload, std::make_unique<Overrun>(runtime, workload));
}

}  // namespace stele::sim
