// The connected members of a shared subscription, as the owner of its queue sees them (section 4.8.2 of MQTT
// 5.0): who is to have the next message, and what a member that goes away leaves to the others. Nothing of it
// is state: the queue is, in the session that the subscription has in its shard (subscription.h).
//
// Members take turns; one whose window is full loses its turn. What was given to a member is its own until it
// settles it. When it leaves, what it has not settled goes to others before anything newer; but not what it
// had with QoS 2 [MQTT-4.8.2-5]. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/session_state.h"
#include "model/ids.h"

namespace stele::broker {

class ShareGroup {
 public:
  struct Member {
    std::uint64_t attachment = 0;
    CoreId core{};
    std::string client_id{};
    bool started = false;  // may be sent messages
    std::uint8_t qos = 0;
    bool retain_as_published = false;
    std::uint32_t subscription_id = 0;
    std::uint32_t window = 1;        // messages that are given and not settled
    std::uint64_t window_bytes = 0;  // likewise, but always one message
  };

  // A member that is here already gets other options.
  void join(Member member);
  void start(std::uint64_t attachment);
  // Gives how many messages others get now.
  std::size_t leave(std::uint64_t attachment);

  bool empty() const { return members_.empty(); }
  std::size_t size() const { return members_.size(); }
  bool has(std::string_view client_id) const;
  std::vector<Member> members() const;
  // Grows whenever a member comes or goes.
  std::uint64_t changes() const { return changes_; }

  // Where the next message to be given stands, in a queue that begins at `first`.
  QueuePosition next(QueuePosition first);
  // It need not be given to anybody.
  void skip();
  // The member whose turn it is. Null: none has room. Valid until the next call that is not const.
  const Member* choose();
  // The message at next() is given to the chosen one. `final`: whatever happens, to nobody else.
  void give(Lsn lsn, std::uint32_t index, std::uint64_t bytes, bool final);
  enum class Settled {
    kUnknown,
    kGone,    // and is not in the queue any more: it was final
    kQueued,  // to be settled in the queue too
  };
  Settled settle(std::uint64_t attachment, Lsn lsn, std::uint32_t index);

 private:
  struct Given {
    QueuePosition at;
    Lsn lsn;
    std::uint32_t index;
    std::uint64_t bytes;
    bool final;
  };
  struct Place {
    Member member;
    std::deque<Given> given;  // in the order of giving
    std::uint64_t bytes = 0;
    bool has_room() const {
      return member.started &&
             (given.empty() || (given.size() < member.window && bytes < member.window_bytes));
    }
  };
  Place* find(std::uint64_t attachment);

  std::vector<Place> members_;  // in the order of joining
  std::size_t turn_ = 0;        // whose it is, if it has room
  std::size_t chosen_ = 0;
  QueuePosition next_ = 0;         // everything at or above it has not been given to anybody
  std::set<QueuePosition> again_;  // below it, and to be given again
  std::uint64_t changes_ = 0;
};

}  // namespace stele::broker
