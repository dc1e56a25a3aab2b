// MQTT clients that do not keep up: they do not read, do not acknowledge, or are given more than is kept for
// them while they subscribe. What is left out is what may be, and never what came later instead of what came
// before.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sim/workloads/rounds.h"

namespace stele::sim {

using mqtt::Qos;
using mqtt::ReasonCode;
using runtime::Task;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kRetained = 12;

class Slow final : public Rounds {
 public:
  Slow(runtime::Runtime& core, Workload& shared) : Rounds(core, shared, "slow") {}

  // In a place of its own: what an earlier round has sent may come late.
  Task<Result<void>> round() override {
    place_ = "slow/" + std::to_string(++rounds_);
    switch (rounds_ % 8) {
      case 0:
        return takes_no_answers();
      case 1:
        return acknowledges_late(false);
      case 2:
        return acknowledges_late(true);
      case 3:
        return subscribes_in_a_stream();
      case 4:
        return shares();
      case 5:
        return shares_with_a_queue();
      default:
        return retained_meanwhile();
    }
  }

 private:
  static std::unexpected<Error> refused() { return error(ErrorCode::kUnavailable, "refused"); }
  Task<Result<Peer>> enter_as(std::string id, std::uint16_t receive_maximum = 0, std::uint32_t expiry_s = 0) {
    mqtt::Connect connect;
    connect.client_id = id;
    connect.session_expiry_s = expiry_s;
    if (receive_maximum > 0) connect.receive_maximum = receive_maximum;
    co_return co_await open(std::move(connect));
  }
  std::string next_text() { return std::to_string(++last_); }
  static std::uint64_t number_of(std::string_view payload) { return std::stoull(std::string(payload)); }

  // Acknowledged, or it is an error.
  Task<Result<void>> send(MqttPeer& sender, std::string topic, std::string text, bool retain = false,
                          std::optional<std::uint32_t> expiry_s = std::nullopt) {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.payload = text;
    packet.retain = retain;
    packet.properties.message_expiry_s = expiry_s;
    STELE_CO_TRY(const ReasonCode reason, co_await publish(sender, std::move(packet)));
    if (is_error(reason)) co_return refused();
    co_return Result<void>();
  }
  Task<Result<void>> wants(MqttPeer& peer, std::string filter) {
    STELE_CO_TRY(const ReasonCode reason, co_await subscribe(peer, std::move(filter), Qos::kAtLeastOnce));
    if (is_error(reason)) co_return refused();
    co_return Result<void>();
  }

  // Asks a lot and reads nothing; then every question has its answer.
  Task<Result<void>> takes_no_answers() {
    STELE_CO_TRY(const Peer peer, co_await enter_as("slow-reader"));
    constexpr std::uint16_t kQuestions = 300;
    std::vector<std::string> filters;
    for (int i = 0; i < 150; ++i) filters.push_back("s/" + std::to_string(i));
    peer->stop_reading();
    for (std::uint16_t i = 1; i <= kQuestions; ++i) {
      mqtt::Unsubscribe question;
      question.packet_id = i;
      for (const std::string& filter : filters) question.filters.push_back(filter);
      peer->send(question);
      if (i % 20 == 0) co_await runtime::sleep(runtime_, 20ms);
    }
    co_await runtime::sleep(runtime_, 2s);
    peer->read_on();
    for (std::uint16_t i = 1; i <= kQuestions; ++i) {
      STELE_CO_TRY(const ReceivedPacket packet, co_await peer->next(30s));
      const auto* answer = std::get_if<mqtt::Unsuback>(&packet.packet);
      if (!answer) co_return refused();
      if (answer->packet_id != i) fail("is not answered in the order of its questions");
    }
    show("answers-waited");
    co_return Result<void>();
  }

  // One message at a time, and the first of them late. More wait than there is room for, or for longer than
  // they live.
  Task<Result<void>> acknowledges_late(bool expire) {
    if (!is_low("mqtt.queue_messages")) co_return Result<void>();
    STELE_CO_TRY(const Peer sender, co_await enter_as("slow-sender"));
    STELE_CO_TRY(const Peer peer, co_await enter_as("slow-acknowledger", 1));
    STELE_CO_CHECK(co_await wants(*peer, place_));
    // Once the first has come, the others do: while it subscribes some may be dropped.
    STELE_CO_CHECK(co_await send(*sender, place_, next_text()));
    STELE_CO_TRY(const Received first, co_await receive(*peer, 2s));
    const std::uint64_t before = last_;
    const std::uint64_t room = limit("mqtt.queue_messages");
    const std::uint64_t all = expire ? room / 2 : room + room / 2;
    for (std::uint64_t i = 0; i < all; ++i) {
      STELE_CO_CHECK(co_await send(*sender, place_, next_text(), false,
                                   expire ? std::optional<std::uint32_t>(1) : std::nullopt));
    }
    if (expire) co_await runtime::sleep(runtime_, 4s);
    if (expire) STELE_CO_CHECK(co_await send(*sender, place_, next_text()));
    const std::uint64_t last = last_;
    peer->send(mqtt::Puback{.packet_id = first.packet_id});
    std::vector<std::uint64_t> got;
    while (got.empty() || got.back() != last) {
      STELE_CO_TRY(const Received one, co_await receive(*peer, 10s));
      got.push_back(number_of(one.payload));
      peer->send(mqtt::Puback{.packet_id = one.packet_id});
    }
    // Of what comes when others are acknowledged already, more does.
    const std::uint64_t least = expire ? 1 : room;
    const bool in_order = std::ranges::is_sorted(got) && std::ranges::adjacent_find(got) == got.end();
    if (!in_order || got.size() < least || got[got.size() - least] != last + 1 - least ||
        got.front() <= before)
      fail("the oldest of what waits is not what is left out");
    if (expire && got.size() > 1) fail("is sent what has expired");
    if (got.size() == all) co_return Result<void>();
    show(expire ? "expired-in-the-outbox" : "outbox-dropped");
    co_return Result<void>();
  }

  // Messages come while it subscribes again and again: some may be dropped, none comes out of its turn.
  Task<Result<void>> subscribes_in_a_stream() {
    STELE_CO_TRY(const Peer sender, co_await enter_as("slow-sender"));
    STELE_CO_TRY(const Peer peer, co_await enter_as("slow-subscriber"));
    STELE_CO_CHECK(co_await wants(*peer, place_));
    const std::uint64_t before = last_;
    for (int i = 0; i < 20; ++i) {
      const std::string filter = place_ + "/other/" + std::to_string(i);
      mqtt::Subscribe again;
      again.packet_id = static_cast<std::uint16_t>(i + 1);
      again.subscriptions.push_back({.filter = filter, .qos = Qos::kAtMostOnce});
      peer->send(again);
      for (int k = 0; k < 20; ++k) {
        const std::string text = next_text();
        sender->publish(place_, text, 0, 0, false, false);
        if (k % 4 == 0) co_await runtime::sleep(runtime_, short_pause(runtime_, 2));
      }
    }
    STELE_CO_TRY(const auto got, co_await all_until_ping(*peer));
    std::uint64_t last = before;
    for (const Received& one : got) {
      const std::uint64_t number = number_of(one.payload);
      if (number <= last) fail("a message comes out of its turn while it subscribes");
      last = number;
    }
    if (got.size() < 400) show("held-dropped");
    co_return Result<void>();
  }

  // Two members without sessions. What one does not acknowledge the other is given when that one goes, unless
  // it was more than is kept.
  Task<Result<void>> shares() {
    const bool large = random().chance(1, 2);
    STELE_CO_TRY(const Peer sender, co_await enter_as("slow-sender"));
    STELE_CO_TRY(Peer leaves, co_await enter_as("slow-member-1"));
    STELE_CO_TRY(const Peer stays, co_await enter_as("slow-member-2"));
    STELE_CO_CHECK(co_await wants(*leaves, "$share/slow/" + place_));
    if (!large) STELE_CO_CHECK(co_await wants(*stays, "$share/slow/" + place_));
    std::set<std::uint64_t> sent, got;
    for (int i = 0; i < 12; ++i) {
      const std::string text = next_text();
      sent.insert(last_);
      STELE_CO_CHECK(co_await send(*sender, place_, large ? text + std::string(1000, ' ') : text));
    }
    if (large) STELE_CO_CHECK(co_await wants(*stays, "$share/slow/" + place_));
    STELE_CO_TRY(const auto unanswered, co_await all_until_ping(*leaves));
    leaves->drop();
    leaves.reset();
    // Until it is known that that one is gone.
    const runtime::Instant end = runtime_.now() + 5s;
    while (runtime_.now() < end && (large || got != sent)) {
      auto one = co_await receive(*stays, 1s);
      if (!one && one.error().code != ErrorCode::kTimedOut) co_return std::unexpected(one.error());
      if (!one) continue;
      got.insert(number_of(one->payload));
      stays->send(mqtt::Puback{.packet_id = one->packet_id});
    }
    if (!std::ranges::includes(sent, got)) fail("a member is sent what nobody sent");
    if (got == sent) show("shared-given-back");
    if (large && got.size() < unanswered.size()) show("shared-unkept");
    co_return Result<void>();
  }

  // One member, whose session is kept: with it the queue ends, and a later one is given nothing of it.
  Task<Result<void>> shares_with_a_queue() {
    // Nobody was ever a member of it.
    const std::string share = "$share/slow-queue/" + place_;
    STELE_CO_TRY(const Peer sender, co_await enter_as("slow-sender"));
    {
      STELE_CO_TRY(const Peer member, co_await enter_as("slow-kept", 4, 60));
      STELE_CO_CHECK(co_await wants(*member, share));
      for (int i = 0; i < 8; ++i) STELE_CO_CHECK(co_await send(*sender, place_, next_text()));
      mqtt::Unsubscribe leaves;
      leaves.packet_id = 1;
      leaves.filters.push_back(share);
      member->send(leaves);
      while (true) {
        STELE_CO_TRY(const ReceivedPacket packet, co_await member->next(10s));
        const auto* left = std::get_if<mqtt::Unsuback>(&packet.packet);
        if (left && is_error(left->reasons.at(0))) co_return refused();
        if (left) break;
      }
    }
    STELE_CO_TRY(const Peer later, co_await enter_as("slow-kept-later", 0, 60));
    STELE_CO_CHECK(co_await wants(*later, share));
    STELE_CO_CHECK(co_await send(*sender, place_, next_text()));
    STELE_CO_TRY(const Received first, co_await receive(*later, 10s));
    if (number_of(first.payload) != last_) fail("a new member is given what the share had before it ended");
    show("shares-ended");
    mqtt::Disconnect end;
    end.session_expiry_s = 0;
    later->send(end);
    co_return Result<void>();
  }

  // Retained messages are given a few at a time to somebody who reads slowly, while they are replaced, and
  // while it gives the subscription up.
  Task<Result<void>> retained_meanwhile() {
    const bool kept = random().chance(1, 2);
    STELE_CO_TRY(const Peer sender, co_await enter_as("slow-sender"));
    for (std::uint64_t i = 0; i < kRetained; ++i) {
      const std::string text = next_text() + std::string(3000, ' ');
      STELE_CO_CHECK(co_await send(*sender, address(i), text, true));
    }
    STELE_CO_TRY(const Peer peer, co_await enter_as("slow-retained", 0, kept ? 60 : 0));
    peer->stop_reading();
    const Qos qos = random().chance(1, 2) ? Qos::kAtLeastOnce : Qos::kAtMostOnce;
    const std::string filter = place_ + "/#";
    mqtt::Subscribe asks;
    asks.packet_id = 1;
    asks.subscriptions.push_back({.filter = filter, .qos = qos});
    peer->send(asks);
    const bool gives_up = random().chance(1, 3);
    STELE_CO_CHECK(co_await replace_some(*sender, *peer, gives_up));
    // A queue may be too small for all of them.
    const bool all_come = !gives_up && !kept && qos == Qos::kAtLeastOnce;
    std::map<std::string, std::uint64_t> highest, highest_live;
    // A network that is split says nothing either: before something is missed, the node answers some pings.
    constexpr int kPings = 5;
    int answered = 0;
    bool asked = false;
    while (true) {
      auto packet = co_await peer->next(asked ? kPatience : 2s);
      if (!packet && (asked || packet.error().code != ErrorCode::kTimedOut)) {
        co_return std::unexpected(packet.error());
      }
      if (!packet) {
        if (!all_come || highest.size() == kRetained || answered == kPings) break;
        peer->send(mqtt::Pingreq{});
        asked = true;
        continue;
      }
      if (std::holds_alternative<mqtt::Pingresp>(packet->packet)) {
        asked = false;
        ++answered;
      }
      const auto* one = std::get_if<mqtt::Publish>(&packet->packet);
      if (!one) continue;
      answered = 0;
      if (one->packet_id != 0) peer->send(mqtt::Puback{.packet_id = one->packet_id});
      const std::uint64_t number = number_of(one->payload);
      // A live copy may come behind a newer one that was retained, not behind a newer live copy.
      const std::string topic(one->topic);
      const std::uint64_t before = one->retain ? highest[topic] : highest_live[topic];
      // What has QoS 0 does not wait behind what is queued.
      if (number < before && qos == Qos::kAtLeastOnce) {
        fail("is sent " + std::string(one->retain ? "retained " : "") + "message " + std::to_string(number) +
             " of " + topic + " after " + std::to_string(before));
      }
      highest[topic] = std::max(highest[topic], number);
      if (!one->retain) highest_live[topic] = number;
    }
    if (all_come && highest.size() < kRetained)
      fail("is given " + std::to_string(highest.size()) + " of " + std::to_string(kRetained) +
           " retained messages");
    show("retained-taken");
    mqtt::Disconnect end;
    end.session_expiry_s = 0;
    if (kept) peer->send(end);
    co_return Result<void>();
  }
  // Without waiting for one to be acknowledged before the next. Fewer than would be dropped again.
  Task<Result<void>> replace_some(MqttPeer& sender, MqttPeer& peer, bool gives_up) {
    constexpr std::uint16_t kReplaced = 8;
    for (std::uint16_t i = 0; i < kReplaced; ++i) {
      const std::string text = next_text() + std::string(200, ' ');
      sender.publish(address(random().below(kRetained)), text, 1, 100 + i, false, true);
      // What two messages are, is told apart by their milliseconds.
      co_await runtime::sleep(runtime_, 2ms + short_pause(runtime_, 2));
      if (i == kReplaced / 2) peer.read_on();
      if (!gives_up || i != kReplaced / 2) continue;
      const std::string filter = place_ + "/#";
      mqtt::Unsubscribe no_more;
      no_more.packet_id = 2;
      no_more.filters.push_back(filter);
      peer.send(no_more);
    }
    for (std::uint16_t acknowledged = 0; acknowledged < kReplaced;) {
      STELE_CO_TRY(const ReceivedPacket packet, co_await sender.next(10s));
      const auto* ack = std::get_if<mqtt::Puback>(&packet.packet);
      if (ack && is_error(ack->reason)) co_return refused();
      acknowledged += ack != nullptr;
    }
    co_return Result<void>();
  }
  std::string address(std::uint64_t i) const { return place_ + "/" + std::to_string(i); }

  std::uint64_t last_ = 0;
  std::uint64_t rounds_ = 0;
  std::string place_;
};

}  // namespace

Task<void> run_slow(runtime::Runtime& runtime, Workload& workload) {
  return run_rounds(runtime, workload, std::make_unique<Slow>(runtime, workload));
}

}  // namespace stele::sim
