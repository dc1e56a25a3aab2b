// Which shards a message is to be kept in, by one core's routes. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "broker/mail.h"
#include "broker/routes.h"
#include "model/address.h"
#include "model/message.h"

namespace stele::broker {

struct Targets {
  ShardList shards;  // in order, each once; none: nobody wants to keep it
  // The first topic that captures it, and the partition; null: there is none.
  const Route::Capture* capture = nullptr;
  std::int32_t partition = 0;
  ShardId capture_shard() const { return capture->topic->shards[static_cast<std::size_t>(partition)]; }
};

inline Targets targets_of(const Route& route, const MessageView& message) {
  Targets found;
  const auto add = [&found](ShardId shard) {
    auto at = std::lower_bound(found.shards.begin(), found.shards.end(), shard);
    if (at == found.shards.end() || *at != shard) found.shards.insert(at, shard);
  };
  if (!is_mqtt_only(message.address)) {
    for (const Route::Capture& capture : route.captures) {
      const std::int32_t partition =
          capture.partition >= 0 ? capture.partition : capture.topic->partition_of(message);
      add(capture.topic->shards[static_cast<std::size_t>(partition)]);
      if (found.capture) continue;
      found.capture = &capture;
      found.partition = partition;
    }
  }
  if (message.qos > 0) {
    for (ShardId shard : route.session_shards) add(shard);
  }
  if (message.retain) add(route.address_shard);
  return found;
}

}  // namespace stele::broker
