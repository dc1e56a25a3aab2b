// Clients of a field run that somebody else wrote: librdkafka produces and reads, batches, sends again, joins
// and commits in its own way. What its threads do when is nobody's to repeat, so it is not in the simulator
// (docs/decisions/0033).
//
//  - What it says is acknowledged is in `orders.eu`, once, where it says, in the order in which it was sent
//  to a partition: the
//    ledgers of the other clients hold it against what all readers see.
//  - Its group reads what everybody writes there, each partition in order and without a gap; no owner of a
//  partition begins
//    before where the one before it began; in the end it has all that was acknowledged, and its offsets say
//    so.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "runtime/runtime.h"
#include "runtime/task.h"
#include "sim/workloads/clients.h"

namespace stele::field {

// What they share.
struct RdKafkaClients {
  sim::Workload& workload;
  std::string log;           // a file for what it complains of
  bool cooperative = false;  // how its group shares the partitions

  // Of the group, by partition.
  std::map<std::int32_t, std::int64_t> read_to;  // everything before was read
  std::map<std::int32_t, std::int64_t> began;    // where the last owner did
  std::map<std::int32_t, std::int64_t> committed = {};

  std::uint64_t acknowledged = 0, not_acknowledged = 0, received = 0, commits = 0, starts = 0,
                assignments = 0;
  std::string what_happened() const;
};

constexpr std::uint32_t kRdKafkaProducers = 2, kRdKafkaMembers = 3;
// Its messages bear this number, and those after it.
constexpr std::uint32_t kFirstRdKafkaPublisher = 120;

runtime::Task<void> run_rdkafka_producer(runtime::Runtime& runtime, RdKafkaClients& clients,
                                         std::uint32_t number);
// Of group `foreigners`. The last one is a static member.
runtime::Task<void> run_rdkafka_member(runtime::Runtime& runtime, RdKafkaClients& clients,
                                       std::uint32_t number);

}  // namespace stele::field
