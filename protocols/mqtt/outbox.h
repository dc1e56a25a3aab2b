// The QoS 1 and 2 messages of one connection on their way to the client: packet identifiers, what is in
// flight, and what waits for a place in the window. Pure.
//
// Messages out of a queue in the log come with a durable token; the broker gives no more of them than fit in
// the window, and they are never dropped here. Those with QoS 2 bring their packet identifiers, which are not
// among the ones given here (Limits::highest_id). Live copies wait in a bounded queue, whose oldest live copy
// is dropped when it is full.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fifo.h"
#include "broker/api.h"
#include "protocols/mqtt/encode.h"

namespace stele::mqtt {

class Outbox {
 public:
  struct Limits {
    std::uint16_t in_flight = 65535;
    std::uint16_t highest_id = 65535;
    std::size_t messages = SIZE_MAX;
    std::size_t bytes = SIZE_MAX;
  };
  // A PUBLISH that lacks its packet identifier, and the rest of its payload if that is shared.
  struct Waiting {
    std::string packet;
    PublishHeader at;
    Bytes payload;
    std::optional<std::int64_t> expires_at_ms;
    broker::SettleToken token;
    bool exactly_once = false;
    bool redelivered = false;
    std::size_t size() const { return packet.size() + payload.size(); }
  };

  // How far a message of QoS 2 has come.
  enum class Stage : std::uint8_t {
    kPublished,
    kAccepted,  // PUBREC came, and is being stored
    kReleased,  // PUBREL is sent
  };
  struct InFlight {
    broker::SettleToken token;
    bool exactly_once = false;
    Stage stage = Stage::kPublished;
  };

  Outbox() = default;
  explicit Outbox(Limits limits) : limits_(limits) {}

  bool has_room() const { return in_flight_.size() < limits_.in_flight; }
  bool anything_waits() const { return !waiting_.empty(); }
  std::size_t in_flight() const { return in_flight_.size(); }
  std::size_t waiting() const { return waiting_.size(); }
  std::size_t waiting_bytes() const { return waiting_bytes_; }

  // The identifier of the next packet, which is in flight from now on. There must be room.
  std::uint16_t send(broker::SettleToken token, bool exactly_once);
  // PUBACK of the client. None if no such packet with QoS 1 is in flight.
  std::optional<broker::SettleToken> acknowledge(std::uint16_t packet_id);
  // One with QoS 2; null if there is none. Valid until the next call that changes anything.
  InFlight* find_exactly_once(std::uint16_t packet_id);
  // Of QoS 2, PUBREL is sent: also of a message that was sent on an earlier connection.
  void release(std::uint16_t packet_id);
  void erase(std::uint16_t packet_id);

  // Gives the live copies that had to be dropped for it, or instead of it.
  std::vector<broker::SettleToken> push(Waiting message);
  const Waiting& front() const { return waiting_.front(); }
  Waiting pop();

 private:
  bool full() const { return live_ > limits_.messages || live_bytes_ > limits_.bytes; }
  void forget(const Waiting& message);

  Limits limits_;
  absl::flat_hash_map<std::uint16_t, InFlight> in_flight_;  // look-ups only
  std::uint16_t last_id_ = 0;
  Fifo<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::size_t live_ = 0;  // of those that wait
  std::size_t live_bytes_ = 0;
};

}  // namespace stele::mqtt
