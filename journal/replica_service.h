// Serves this node's segments to owners and take-overs on other nodes (docs/replication.md). The other side
// is RemoteReplica.
//
// One for each core that takes in connections, with that core's JournalClient. Lives on that core; outlived
// by the client, and outlives the server, which must not listen yet when this is made. Until
// JournalClient::admit() has been called, once for the process, no new segment is begun for anybody.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "journal/client.h"
#include "rpc/server.h"
#include "runtime/task.h"

namespace stele::journal {

class ReplicaService {
 public:
  ReplicaService(rpc::Server& server, JournalClient& journal);
  ReplicaService(const ReplicaService&) = delete;
  ReplicaService& operator=(const ReplicaService&) = delete;

 private:
  void append(rpc::Request request, rpc::Responder responder);
  void status(const rpc::Request& request, rpc::Responder responder) const;
  void trim(const Bytes& message);
  void remove(const Bytes& message);
  static runtime::Task<Result<rpc::Payload>> fence(JournalClient& journal, rpc::Request request);
  static runtime::Task<Result<rpc::Payload>> read(JournalClient& journal, rpc::Request request);
  static runtime::Task<Result<rpc::Payload>> describe(JournalClient& journal, rpc::Request request);
  static runtime::Task<Result<rpc::Payload>> list(JournalClient& journal, rpc::Request request);

  JournalClient& journal_;
};

}  // namespace stele::journal
