// What the other cores of a process, and core 0 itself, see of the meta service: commands, and this core's
// copy of the metadata.
//
// One per core, used only there. What a command changed is in view() on every core once the command has
// completed, so that a topic that was created can be used at once, whichever core the next connection lands
// on.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "meta/commands.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::meta {

struct ClientInbox;
struct ServiceState;

class MetaClient {
 public:
  // Complete when the present view is here. `service` is MetaService::state(). kClosed: it stops.
  static runtime::Task<Result<std::unique_ptr<MetaClient>>> connect(runtime::Runtime& runtime,
                                                                    std::shared_ptr<ServiceState> service);
  MetaClient(const MetaClient&) = delete;
  MetaClient& operator=(const MetaClient&) = delete;
  ~MetaClient();

  std::shared_ptr<const MetaView> view() const;

  // Called with each new view, in the order of registration, once view() gives it; never from within a call
  // of this class. Until the watch is destroyed, which may outlive the client.
  using OnChange = std::function<void(const std::shared_ptr<const MetaView>&)>;
  class [[nodiscard]] Watch {
   public:
    Watch() = default;
    Watch(Watch&&) = default;
    Watch& operator=(Watch&&) = default;

   private:
    friend class MetaClient;
    explicit Watch(std::shared_ptr<OnChange> callback) : callback_(std::move(callback)) {}
    std::shared_ptr<OnChange> callback_;
  };
  Watch on_change(OnChange callback);

  // co_await client.execute(CreateTopic{.name = "orders"}): the command's answer or error. kClosed: the
  // service stops; what became of the command is unknown.
  template <class C>
  runtime::Task<Result<typename C::Answer>> execute(C command);

  // The shards as they are after every command that completed before. kNotFound: no such shard.
  runtime::Task<Result<std::vector<Shard>>> read_shards(std::vector<ShardId> shards);

 private:
  MetaClient(runtime::Runtime& runtime, std::shared_ptr<ServiceState> service);
  runtime::Task<Result<std::string>> propose(std::string command);

  runtime::Runtime& runtime_;
  std::shared_ptr<ServiceState> service_;
  std::shared_ptr<ClientInbox> inbox_;
};

}  // namespace stele::meta
