#include "meta/service.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "meta/command_codec.h"
#include "meta/service_state.h"

namespace stele::meta {

using runtime::OneShot;
using runtime::Task;

// ---- the service ---------------------------------------------------------------------------------------

namespace {

// How often a node looks whether the cluster that it joins is known to it by now.
constexpr runtime::Duration kLook = std::chrono::milliseconds(20);

Task<Result<void>> make_cluster(runtime::Runtime& runtime, MetaLog& log, const MetaServiceOptions& options) {
  if (!log.view()->cluster().id.empty()) co_return Result<void>();
  if (!options.may_be_new) {
    STELE_MARK("meta: the database is lost, not new");
    co_return error(ErrorCode::kCorrupt,
                    options.directory +
                        "/meta.db: is missing, or lost what it held, though there is a journal; "
                        "restore the file from a copy");
  }
  const Envelope envelope{.time = runtime.wall_now(),
                          .random = Uuid{runtime.random().next(), runtime.random().next()}};
  STELE_CO_TRY(const std::string answer,
               co_await log.propose(
                   encode_command(envelope, CreateCluster{.shard_count = options.shard_count, .id = {}})));
  const auto made = decode_answer_to<CreateCluster>(answer);
  // In a group, an earlier process of this node may have proposed it.
  if (!made && made.error().code != ErrorCode::kAlreadyExists) co_return std::unexpected(made.error());
  co_return Result<void>();
}

}  // namespace

Task<Result<std::unique_ptr<MetaService>>> MetaService::open(runtime::Runtime& runtime,
                                                             MetaServiceOptions options) {
  STELE_CO_TRY(auto log, co_await OneNodeLog::open(runtime, options.directory, options.limits));
  co_return co_await serve(runtime, std::move(options), std::move(log), Founder::kYes);
}

Task<Result<std::unique_ptr<MetaService>>> MetaService::serve(runtime::Runtime& runtime,
                                                              MetaServiceOptions options,
                                                              std::unique_ptr<MetaLog> log, Founder founder) {
  STELE_ASSERT(runtime.core() == kServiceCore);
  auto state = std::make_shared<ServiceState>(runtime, options.max_calls);
  state->log = std::move(log);
  state->log->on_failure(std::move(options.on_failure));
  if (founder == Founder::kYes) {
    const auto made = co_await make_cluster(runtime, *state->log, options);
    if (!made) {
      co_await state->log->close();
      co_return std::unexpected(made.error());
    }
  }
  while (state->log->view()->cluster().id.empty()) co_await runtime::sleep(runtime, kLook);
  // The log belongs to the state, so its callback must not keep the state alive.
  state->log->on_view([weak = std::weak_ptr(state)](const std::shared_ptr<const MetaView>& view) {
    if (auto self = weak.lock()) ServiceState::on_view(self, view);
  });
  co_return std::unique_ptr<MetaService>(new MetaService(std::move(state)));
}

// What is posted may keep the state for a while, and finds it closed.
MetaService::~MetaService() {
  state_->closed = true;
  state_->calls.reset();
  state_->log.reset();
}

std::shared_ptr<const MetaView> MetaService::view() const {
  return state_->log->view();
}

Task<void> MetaService::close() {
  state_->closed = true;
  co_await state_->log->close();
  state_->acknowledgements.wake_all();
  co_await state_->calls->join();
}

// ---- core 0's side of the clients ----------------------------------------------------------------------

Result<void> ServiceState::check_open() const {
  if (closed) return error(ErrorCode::kClosed, "the meta service stops");
  if (calls->running() >= max_calls) {
    STELE_MARK("meta: too many calls under way");
    return error(ErrorCode::kUnavailable, "the meta service has too much to do; try again later");
  }
  return {};
}

template <class T>
void ServiceState::answer(CoreId back, const OneShot<Result<T>>& reply, Result<T> result) {
  runtime.post(back, [reply, result = std::move(result)]() mutable { reply.set(std::move(result)); });
}

void ServiceState::connect(const std::shared_ptr<ServiceState>& self, CoreId core, runtime::Runtime* there,
                           std::shared_ptr<ClientInbox> inbox, OneShot<Result<void>> reply) {
  if (self->closed) {
    self->answer<void>(core, reply, error(ErrorCode::kClosed, "the meta service stops"));
    return;
  }
  self->clients.push_back(
      {.number = self->next_client++, .core = core, .runtime = there, .inbox = std::move(inbox)});
  deliver(self, self->clients.back(), self->log->view());
  self->answer<void>(core, reply, {});  // after the view: posts to one core keep their order
}

void ServiceState::propose(std::string command, CoreId back, OneShot<Result<std::string>> reply) {
  if (auto open = check_open(); !open) {
    answer<std::string>(back, reply, std::unexpected(open.error()));
    return;
  }
  calls->spawn(run_proposal(std::move(command), back, std::move(reply)));
}

Task<void> ServiceState::run_proposal(std::string command, CoreId back, OneShot<Result<std::string>> reply) {
  auto result = co_await log->propose(std::move(command));
  // Refusals wait too: "there is a topic already" is said to somebody who then finds it.
  const std::uint64_t version = log->view()->version();
  while (!mutant(Mutant::kTopicBeforeRouted) && !everybody_has(version) && !closed)
    co_await acknowledgements.wait();
  answer<std::string>(back, reply, std::move(result));
}

void ServiceState::read_shards(std::vector<ShardId> ids, CoreId back,
                               OneShot<Result<std::vector<Shard>>> reply) {
  if (auto open = check_open(); !open) {
    answer<std::vector<Shard>>(back, reply, std::unexpected(open.error()));
    return;
  }
  calls->spawn(run_read(std::move(ids), back, std::move(reply)));
}

Task<void> ServiceState::run_read(std::vector<ShardId> ids, CoreId back,
                                  OneShot<Result<std::vector<Shard>>> reply) {
  // Shared with the job, which may outlive this frame.
  auto found = std::make_shared<Result<std::vector<Shard>>>();
  auto done =
      co_await log->read([found, ids = std::move(ids)](StateMachine& machine, runtime::BlockingFiles& files,
                                                       StateMachine::Inputs inputs) {
        *found = machine.read_shards(files, ids, inputs);
      });
  if (!done) *found = std::unexpected(std::move(done).error());
  answer<std::vector<Shard>>(back, reply, std::move(*found));
}

bool ServiceState::everybody_has(std::uint64_t version) const {
  return std::ranges::all_of(clients, [&](const Client& client) { return client.has_version >= version; });
}

void ServiceState::on_view(const std::shared_ptr<ServiceState>& self,
                           const std::shared_ptr<const MetaView>& view) {
  for (const Client& client : self->clients) deliver(self, client, view);
}

// Takes the view to the client's core, and brings back that it is there.
void ServiceState::deliver(const std::shared_ptr<ServiceState>& self, const Client& client,
                           const std::shared_ptr<const MetaView>& view) {
  self->runtime.post(client.core, [self = self, number = client.number, there = client.runtime,
                                   inbox = client.inbox, view]() mutable {
    inbox->deliver(view);
    const bool alive = inbox->alive;
    there->post(kServiceCore, [self = std::move(self), number, version = view->version(), alive] {
      self->acknowledged(number, version, alive);
    });
  });
}

void ServiceState::acknowledged(std::uint64_t number, std::uint64_t version, bool alive) {
  auto client = std::ranges::find(clients, number, &Client::number);
  if (client == clients.end()) return;
  if (alive) {
    client->has_version = std::max(client->has_version, version);
  } else {
    clients.erase(client);
  }
  acknowledgements.wake_all();
}

void ClientInbox::deliver(const std::shared_ptr<const MetaView>& next) {
  if (!alive || (view && next->version() <= view->version())) return;
  view = next;
  // A callback may add another, which hears of the next view, or end watches, its own included.
  for (std::size_t i = 0, n = callbacks.size(); i < n && alive; ++i) {
    if (const auto callback = callbacks[i].lock()) (*callback)(next);
  }
  std::erase_if(callbacks, [](const auto& callback) { return callback.expired(); });
}

}  // namespace stele::meta
