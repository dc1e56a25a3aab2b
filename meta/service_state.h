// What service and clients share. Internal to meta/.
//
// ServiceState belongs to core 0, a ClientInbox to its client's core; each is touched only there, by posted
// work that holds a reference. Both may end on any core.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/log.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/notification.h"
#include "runtime/one_shot.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::meta {

inline constexpr CoreId kServiceCore{0};

// A client's copy of the view. Lives as long as anybody may deliver to it.
struct ClientInbox {
  std::shared_ptr<const MetaView> view;
  // Each as long as its watch lives.
  std::vector<std::weak_ptr<std::function<void(const std::shared_ptr<const MetaView>&)>>> callbacks;
  bool alive = true;  // the client is

  void deliver(const std::shared_ptr<const MetaView>& next);
};

struct ServiceState {
  // A client's core, as the service knows it.
  struct Client {
    std::uint64_t number;
    CoreId core;
    runtime::Runtime* runtime;  // of that core: used only by work that runs there
    std::shared_ptr<ClientInbox> inbox;
    std::uint64_t has_version = 0;
  };
  ServiceState(runtime::Runtime& r, std::size_t max_calls_under_way)
      : runtime(r), max_calls(max_calls_under_way) {}

  // All on core 0. `reply` is set on the core `back`.
  static void connect(const std::shared_ptr<ServiceState>& self, CoreId core, runtime::Runtime* there,
                      std::shared_ptr<ClientInbox> inbox, runtime::OneShot<Result<void>> reply);
  void propose(std::string command, CoreId back, runtime::OneShot<Result<std::string>> reply);
  void read_shards(std::vector<ShardId> ids, CoreId back, runtime::OneShot<Result<std::vector<Shard>>> reply);
  static void on_view(const std::shared_ptr<ServiceState>& self, const std::shared_ptr<const MetaView>& view);
  void acknowledged(std::uint64_t client, std::uint64_t version, bool alive);

  Result<void> check_open() const;
  bool everybody_has(std::uint64_t version) const;
  static void deliver(const std::shared_ptr<ServiceState>& self, const Client& client,
                      const std::shared_ptr<const MetaView>& view);
  runtime::Task<void> run_proposal(std::string command, CoreId back,
                                   runtime::OneShot<Result<std::string>> reply);
  runtime::Task<void> run_read(std::vector<ShardId> ids, CoreId back,
                               runtime::OneShot<Result<std::vector<Shard>>> reply);
  template <class T>
  void answer(CoreId back, const runtime::OneShot<Result<T>>& reply, Result<T> result);

  runtime::Runtime& runtime;
  const std::size_t max_calls;
  std::unique_ptr<MetaLog> log;
  std::vector<Client> clients;  // in the order in which they came
  std::uint64_t next_client = 1;
  runtime::Notification acknowledgements;
  bool closed = false;
  std::optional<runtime::Scope> calls{std::in_place};  // last: its frames use the rest
};

}  // namespace stele::meta
