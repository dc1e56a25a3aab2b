// The publishing side of one connection: finds the home of each message, keeps order, and answers in order.
//
// Order per publisher and address holds although homes change: while a message to an address is in flight,
// the next one to it goes to the same home, whatever the routes say now; that home forwards it. Only a QoS 2
// message of a persistent session has a home that cannot be chosen, its session's shard, where its packet
// identifier is remembered: it waits until nothing to its address is in flight elsewhere, and what is
// published behind it waits too.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <optional>

#include "base/fifo.h"
#include "broker/api.h"
#include "broker/mail.h"
#include "broker/message_batch.h"
#include "broker/routes.h"

namespace stele::broker {

class PublisherImpl final : public Publisher {
 public:
  PublisherImpl(Core& core, std::uint32_t id, Principal who, Listener& listener);
  ~PublisherImpl() override;

  bool publish(const MessageView& message, const Bytes& owner, std::uint32_t token, bool answer) override;
  void join(const Session& session) override;
  std::size_t in_flight() const override { return waiting_.size() + deferred_.size(); }
  void set_hash(std::uint64_t hash) { hash_ = hash; }

  // The home's answer.
  void on_answer(const DataAnswerMail& answer);
  // No core is behind any more (Core::wait_for_live).
  void on_live_ready();

 private:
  // Where the messages to one address go that are in flight.
  struct InFlight {
    ShardId home;
    std::uint32_t count = 0;
    bool once = false;  // one of them at least is of QoS 2 and sent to the session's shard
  };
  // Cannot be sent yet.
  struct Deferred {
    MessageBatch message;
    std::uint32_t token;
    bool answer;
  };
  struct Waiting {
    std::uint64_t address_hash;
    std::uint32_t token;
    std::uint32_t bytes;
    bool answer;
    bool done = false;
    bool matched = true;
    bool unknown = false;
    std::unique_ptr<Error> error;
  };
  // Beyond this, publish() asks to be left alone for a while.
  static constexpr std::size_t kMaxWaiting = 4096;
  static constexpr std::size_t kMaxWaitingBytes = 4 << 20;

  // False: it must wait for its turn.
  bool try_publish(const MessageView& message, const Bytes& owner, std::uint32_t token, bool answer);
  bool commit_first(const MessageView& message, Route& route, const InFlight* earlier, std::uint32_t token,
                    bool answer);
  void deny(const MessageView& message, std::uint32_t token, bool answer);
  void defer(const MessageView& message, std::uint32_t token, bool answer);
  void publish_deferred();
  void done_now(std::uint32_t token, bool answer, bool matched, std::optional<Error> error);
  void drain();
  bool full();

  Core& core_;
  const std::uint32_t id_;
  const Principal who_;
  Listener& listener_;
  std::uint64_t hash_ = 0;
  RouteMemo memo_;
  Fifo<Waiting, 16> waiting_;  // in order of publishing; the first has ticket first_ticket_
  absl::flat_hash_map<std::uint64_t, InFlight> in_flight_;  // by hash of the address; look-ups only
  std::uint64_t first_ticket_ = 0;
  std::size_t waiting_bytes_ = 0;  // deferred ones included
  Fifo<Deferred> deferred_;        // in order of publishing, behind all that wait
  bool publishing_deferred_ = false;
  bool lost_order_ = false;  // nothing is published any more
  // Of a session that outlives its connection:
  bool exactly_once_ = false;
  ShardId session_shard_;
  std::uint32_t session_number_ = 0;
  std::uint64_t session_epoch_ = 0;
  bool asked_to_wait_ = false;
  bool waits_for_live_ = false;
};

}  // namespace stele::broker
