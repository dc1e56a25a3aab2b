// Who gets what shards have for a client that is connected: its session on the core of its connection, or,
// where that is another node's, who passes it on (peer_session.h). Named by its attachment.
#pragma once

#include "base/result.h"
#include "broker/mail.h"

namespace stele::broker {

class Attached {
 public:
  virtual void on_items(SessionMail&& mail) = 0;
  // Another connection has come for the client id: this one is to end.
  virtual void on_taken_over() = 0;
  // The shard has lost it.
  virtual void on_session_lost(const Error& why) = 0;
  // Live copies may be missing of which nobody else tells the client.
  virtual void on_live_missed(const Error& why) = 0;
  // Users or rules have changed.
  virtual void on_rules() = 0;

 protected:
  ~Attached() = default;
};

}  // namespace stele::broker
