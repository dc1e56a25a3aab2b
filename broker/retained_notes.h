// What somebody has been sent live, while the retained messages of a subscription are still on their way to
// him: so that none of them comes behind a newer one of its address. Pure.
//
// A live copy may come before the shard that retains the message has it: another shard forwards it there.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>

#include "base/fifo.h"
#include "model/message.h"

namespace stele::broker {

class RetainedNotes {
 public:
  // Addresses that are remembered; then the one that was noted first goes. Far more than can be on their way
  // between two shards while one page of retained messages is looked up.
  static constexpr std::size_t kMaxAddresses = 16'384;

  // It has been sent, with the retain flag of its publisher.
  void note(const MessageView& sent);
  // A newer one than this retained message has been sent.
  bool overtaken(const MessageView& retained) const;
  std::size_t size() const { return latest_.size(); }

 private:
  struct Latest {
    std::int64_t timestamp_ms;
    std::uint64_t payload;  // its hash: of messages of one millisecond the retained one may be sent again
  };
  absl::flat_hash_map<std::uint64_t, Latest> latest_;  // by the address's hash; look-ups only
  Fifo<std::uint64_t> order_;
};

}  // namespace stele::broker
