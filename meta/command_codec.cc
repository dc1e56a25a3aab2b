#include "meta/command_codec.h"

#include <flatbuffers/flatbuffers.h>

#include <memory>
#include <type_traits>
#include <utility>

#include "meta/command_codec_parts.h"

namespace stele::meta {
namespace codec {
namespace {

fbs::ErrorKind kind_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return fbs::ErrorKind::InvalidArgument;
    case ErrorCode::kNotFound:
      return fbs::ErrorKind::NotFound;
    case ErrorCode::kAlreadyExists:
      return fbs::ErrorKind::AlreadyExists;
    case ErrorCode::kFenced:
      return fbs::ErrorKind::Fenced;
    case ErrorCode::kNoSpace:
      return fbs::ErrorKind::NoSpace;
    case ErrorCode::kUnavailable:
      return fbs::ErrorKind::Unavailable;
    default:
      return fbs::ErrorKind::Internal;
  }
}
ErrorCode code_of(fbs::ErrorKind kind) {
  switch (kind) {
    case fbs::ErrorKind::InvalidArgument:
      return ErrorCode::kInvalidArgument;
    case fbs::ErrorKind::NotFound:
      return ErrorCode::kNotFound;
    case fbs::ErrorKind::AlreadyExists:
      return ErrorCode::kAlreadyExists;
    case fbs::ErrorKind::Fenced:
      return ErrorCode::kFenced;
    case fbs::ErrorKind::NoSpace:
      return ErrorCode::kNoSpace;
    case fbs::ErrorKind::Unavailable:
      return ErrorCode::kUnavailable;
    case fbs::ErrorKind::None:
    case fbs::ErrorKind::Internal:
      break;
  }
  return ErrorCode::kInternal;
}

}  // namespace

std::unique_ptr<fbs::FailureT> pack(const Error& from) {
  auto to = std::make_unique<fbs::FailureT>();
  to->kind = kind_of(from.code);
  to->message = from.message;
  return to;
}
Error unpack(const fbs::FailureT& from) {
  return Error{code_of(from.kind), from.message};
}

namespace {

constexpr flatbuffers::uoffset_t kMaxDepth = 32;
constexpr flatbuffers::uoffset_t kMaxTables = 100'000'000;

Result<Command> unpack_command(const fbs::CommandUnion& from) {
  switch (from.type) {
    case fbs::Command::CreateCluster:
      return unpack(*from.AsCreateCluster());
    case fbs::Command::RegisterNode:
      return unpack(*from.AsRegisterNode());
    case fbs::Command::TakeShards:
      return unpack(*from.AsTakeShards());
    case fbs::Command::SealAndOpen:
      return unpack(*from.AsSealAndOpen());
    case fbs::Command::TrimChain:
      return unpack(*from.AsTrimChain());
    case fbs::Command::SetSnapshot:
      return unpack(*from.AsSetSnapshot());
    case fbs::Command::CreateTopic:
      return unpack(*from.AsCreateTopic());
    case fbs::Command::DeleteTopic:
      return unpack(*from.AsDeleteTopic());
    case fbs::Command::CreatePartitions:
      return unpack(*from.AsCreatePartitions());
    case fbs::Command::AlterTopicConfig:
      return unpack(*from.AsAlterTopicConfig());
    case fbs::Command::AllocateProducerIds:
      return unpack(*from.AsAllocateProducerIds());
    case fbs::Command::CreateTenant:
      return unpack(*from.AsCreateTenant());
    case fbs::Command::DeleteTenant:
      return unpack(*from.AsDeleteTenant());
    case fbs::Command::CreateUser:
      return unpack(*from.AsCreateUser());
    case fbs::Command::AlterUser:
      return unpack(*from.AsAlterUser());
    case fbs::Command::DeleteUser:
      return unpack(*from.AsDeleteUser());
    case fbs::Command::CreateAcl:
      return unpack(*from.AsCreateAcl());
    case fbs::Command::DeleteAcl:
      return unpack(*from.AsDeleteAcl());
    case fbs::Command::CreateToken:
      return unpack(*from.AsCreateToken());
    case fbs::Command::DeleteToken:
      return unpack(*from.AsDeleteToken());
    case fbs::Command::EndIncarnation:
      return unpack(*from.AsEndIncarnation());
    case fbs::Command::DrainNode:
      return unpack(*from.AsDrainNode());
    case fbs::Command::RemoveNode:
      return unpack(*from.AsRemoveNode());
    case fbs::Command::AssignShards:
      return unpack(*from.AsAssignShards());
    case fbs::Command::AdmitNode:
      return unpack(*from.AsAdmitNode());
    case fbs::Command::MoveSegment:
      return unpack(*from.AsMoveSegment());
    case fbs::Command::ReleaseShard:
      return unpack(*from.AsReleaseShard());
    case fbs::Command::NONE:
      break;
  }
  return malformed("no command");
}

Result<Answer> unpack_answer(const fbs::AnswerUnion& from) {
  switch (from.type) {
    case fbs::Answer::ClusterInfo:
      return unpack(*from.AsClusterInfo());
    case fbs::Answer::Node:
      return unpack(*from.AsNode());
    case fbs::Answer::Shards:
      return unpack(*from.AsShards());
    case fbs::Answer::SealAndOpenResults:
      return unpack(*from.AsSealAndOpenResults());
    case fbs::Answer::TrimChainResults:
      return unpack(*from.AsTrimChainResults());
    case fbs::Answer::PreviousSnapshot:
      return unpack(*from.AsPreviousSnapshot());
    case fbs::Answer::TopicState:
      return unpack(*from.AsTopicState());
    case fbs::Answer::ProducerIds:
      return unpack(*from.AsProducerIds());
    case fbs::Answer::TenantState:
      return unpack(*from.AsTenantState());
    case fbs::Answer::UserState:
      return unpack(*from.AsUserState());
    case fbs::Answer::AclRule:
      return unpack(*from.AsAclRule());
    case fbs::Answer::TokenState:
      return unpack(*from.AsTokenState());
    case fbs::Answer::NONE:
      break;
  }
  return malformed("no answer");
}

template <class Root>
std::string finish(const typename Root::NativeTableType& table) {
  flatbuffers::FlatBufferBuilder builder(512);
  builder.Finish(Root::Pack(builder, &table));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

// Verified, or null. FlatBuffers wants its input aligned; a copy on the heap is.
template <class Root>
const Root* verified(const std::string& bytes) {
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), kMaxDepth,
                                 kMaxTables);
  if (!verifier.VerifyBuffer<Root>(nullptr)) return nullptr;
  return flatbuffers::GetRoot<Root>(bytes.data());
}

}  // namespace
}  // namespace codec

std::string_view name_of(const Command& command) {
  static constexpr std::string_view kNames[] = {
      "CreateCluster",       "RegisterNode", "TakeShards",   "SealAndOpen",      "TrimChain",
      "SetSnapshot",         "CreateTopic",  "DeleteTopic",  "CreatePartitions", "AlterTopicConfig",
      "AllocateProducerIds", "CreateTenant", "DeleteTenant", "CreateUser",       "AlterUser",
      "DeleteUser",          "CreateAcl",    "DeleteAcl",    "CreateToken",      "DeleteToken",
      "EndIncarnation",      "DrainNode",    "RemoveNode",   "AssignShards",     "AdmitNode",
      "MoveSegment",         "ReleaseShard"};
  static_assert(std::size(kNames) == std::variant_size_v<Command>);
  return kNames[command.index()];
}

std::string encode_command(const Envelope& envelope, const Command& command) {
  fbs::EntryT entry;
  entry.wall_ms = envelope.time.ms;
  entry.random = codec::pack(envelope.random);
  std::visit([&](const auto& typed) { entry.command.Set(codec::pack(typed)); }, command);
  return codec::finish<fbs::Entry>(entry);
}

Result<LogEntry> decode_command(std::string_view bytes) {
  const std::string aligned(bytes);
  const auto* root = codec::verified<fbs::Entry>(aligned);
  if (!root) return codec::malformed("no FlatBuffer of a command");
  if (root->command_type() > fbs::Command::MAX) {
    return error(ErrorCode::kUnsupported, "the log holds a command of a newer version; upgrade this node");
  }
  if (!root->command()) return codec::malformed("no command");
  const std::unique_ptr<fbs::EntryT> entry(root->UnPack());
  STELE_TRY(Command command, codec::unpack_command(entry->command));
  return LogEntry{.envelope = {.time = WallTime{entry->wall_ms}, .random = codec::unpack(entry->random)},
                  .command = std::move(command)};
}

std::string encode_answer(const Result<Answer>& answer) {
  fbs::ReplyT reply;
  if (!answer) {
    reply.failure = codec::pack(answer.error());
  } else {
    std::visit(
        [&]<class T>(const T& typed) {
          if constexpr (std::is_same_v<T, std::optional<Snapshot>>) {
            reply.answer.Set(codec::pack_answer(typed));
          } else {
            reply.answer.Set(codec::pack(typed));
          }
        },
        *answer);
  }
  return codec::finish<fbs::Reply>(reply);
}

Result<Answer> decode_answer(std::string_view bytes) {
  const std::string aligned(bytes);
  const auto* root = codec::verified<fbs::Reply>(aligned);
  if (!root) return codec::malformed("no FlatBuffer of an answer");
  const std::unique_ptr<fbs::ReplyT> reply(root->UnPack());
  if (reply->failure) return std::unexpected(codec::unpack(*reply->failure));
  if (!root->answer()) return codec::malformed("no answer");
  return codec::unpack_answer(reply->answer);
}

}  // namespace stele::meta
