#include "meta/client.h"

#include <string>
#include <utility>

#include "meta/command_codec.h"
#include "meta/service_state.h"
#include "runtime/one_shot.h"

namespace stele::meta {

using runtime::OneShot;
using runtime::Task;

MetaClient::MetaClient(runtime::Runtime& runtime, std::shared_ptr<ServiceState> service)
    : runtime_(runtime), service_(std::move(service)), inbox_(std::make_shared<ClientInbox>()) {}

MetaClient::~MetaClient() {
  inbox_->alive = false;
}

Task<Result<std::unique_ptr<MetaClient>>> MetaClient::connect(runtime::Runtime& runtime,
                                                              std::shared_ptr<ServiceState> service) {
  std::unique_ptr<MetaClient> client(new MetaClient(runtime, service));
  OneShot<Result<void>> connected;
  runtime.post(kServiceCore, [service, core = runtime.core(), there = &runtime, inbox = client->inbox_,
                              connected] { ServiceState::connect(service, core, there, inbox, connected); });
  STELE_CO_CHECK(co_await connected.wait());
  co_return std::move(client);
}

std::shared_ptr<const MetaView> MetaClient::view() const {
  return inbox_->view;
}

MetaClient::Watch MetaClient::on_change(OnChange callback) {
  auto shared = std::make_shared<OnChange>(std::move(callback));
  inbox_->callbacks.emplace_back(shared);
  return Watch(std::move(shared));
}

Task<Result<std::string>> MetaClient::propose(std::string command) {
  OneShot<Result<std::string>> answer;
  runtime_.post(kServiceCore, [service = service_, command = std::move(command), core = runtime_.core(),
                               answer]() mutable { service->propose(std::move(command), core, answer); });
  co_return co_await answer.wait();
}

template <class C>
Task<Result<typename C::Answer>> MetaClient::execute(C command) {
  const Envelope envelope{.time = runtime_.wall_now(),
                          .random = Uuid{runtime_.random().next(), runtime_.random().next()}};
  STELE_CO_TRY(const std::string answer,
               co_await propose(encode_command(envelope, Command(std::move(command)))));
  co_return decode_answer_to<C>(answer);
}

Task<Result<std::vector<Shard>>> MetaClient::read_shards(std::vector<ShardId> shards) {
  OneShot<Result<std::vector<Shard>>> answer;
  runtime_.post(kServiceCore, [service = service_, shards = std::move(shards), core = runtime_.core(),
                               answer]() mutable { service->read_shards(std::move(shards), core, answer); });
  co_return co_await answer.wait();
}

template Task<Result<CreateCluster::Answer>> MetaClient::execute(CreateCluster);
template Task<Result<RegisterNode::Answer>> MetaClient::execute(RegisterNode);
template Task<Result<TakeShards::Answer>> MetaClient::execute(TakeShards);
template Task<Result<SealAndOpen::Answer>> MetaClient::execute(SealAndOpen);
template Task<Result<TrimChain::Answer>> MetaClient::execute(TrimChain);
template Task<Result<SetSnapshot::Answer>> MetaClient::execute(SetSnapshot);
template Task<Result<CreateTopic::Answer>> MetaClient::execute(CreateTopic);
template Task<Result<DeleteTopic::Answer>> MetaClient::execute(DeleteTopic);
template Task<Result<CreatePartitions::Answer>> MetaClient::execute(CreatePartitions);
template Task<Result<AlterTopicConfig::Answer>> MetaClient::execute(AlterTopicConfig);
template Task<Result<AllocateProducerIds::Answer>> MetaClient::execute(AllocateProducerIds);
template Task<Result<CreateTenant::Answer>> MetaClient::execute(CreateTenant);
template Task<Result<DeleteTenant::Answer>> MetaClient::execute(DeleteTenant);
template Task<Result<CreateUser::Answer>> MetaClient::execute(CreateUser);
template Task<Result<AlterUser::Answer>> MetaClient::execute(AlterUser);
template Task<Result<DeleteUser::Answer>> MetaClient::execute(DeleteUser);
template Task<Result<CreateAcl::Answer>> MetaClient::execute(CreateAcl);
template Task<Result<DeleteAcl::Answer>> MetaClient::execute(DeleteAcl);
template Task<Result<CreateToken::Answer>> MetaClient::execute(CreateToken);
template Task<Result<DeleteToken::Answer>> MetaClient::execute(DeleteToken);
template Task<Result<EndIncarnation::Answer>> MetaClient::execute(EndIncarnation);
template Task<Result<DrainNode::Answer>> MetaClient::execute(DrainNode);
template Task<Result<RemoveNode::Answer>> MetaClient::execute(RemoveNode);
template Task<Result<AssignShards::Answer>> MetaClient::execute(AssignShards);
template Task<Result<MoveSegment::Answer>> MetaClient::execute(MoveSegment);
template Task<Result<ReleaseShard::Answer>> MetaClient::execute(ReleaseShard);
template Task<Result<AdmitNode::Answer>> MetaClient::execute(AdmitNode);

}  // namespace stele::meta
