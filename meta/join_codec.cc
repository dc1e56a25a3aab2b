#include "meta/join_codec.h"

#include <flatbuffers/flatbuffers.h>

#include <memory>

#include "meta/join_generated.h"

namespace stele::meta {
namespace {

constexpr flatbuffers::uoffset_t kMaxDepth = 4;
constexpr flatbuffers::uoffset_t kMaxTables = 100'000;

template <class Packed>
std::string pack(const Packed& from) {
  flatbuffers::FlatBufferBuilder builder(512);
  builder.Finish(Packed::TableType::Pack(builder, &from));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

// FlatBuffers wants its input aligned; a copy on the heap is.
template <class Table>
Result<std::unique_ptr<typename Table::NativeTableType>> unpack(std::string_view from,
                                                                std::string_view what) {
  const std::string aligned(from);
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(aligned.data()), aligned.size(),
                                 kMaxDepth, kMaxTables);
  if (!verifier.VerifyBuffer<Table>(nullptr))
    return error(ErrorCode::kMalformed, std::string(what) + " makes no sense");
  return std::unique_ptr<typename Table::NativeTableType>(
      flatbuffers::GetRoot<Table>(aligned.data())->UnPack());
}

}  // namespace

std::string encode(const JoinRequest& from) {
  fbs::JoinRequestT to;
  to.node = from.node.value;
  to.directory_high = from.directory.high;
  to.directory_low = from.directory.low;
  to.host = from.address.host;
  to.port = from.address.port;
  to.roles = from.roles;
  to.zone = from.zone;
  to.product = from.product;
  to.member = from.member;
  to.forwarded = from.forwarded;
  return pack(to);
}

Result<JoinRequest> decode_join_request(std::string_view from) {
  STELE_TRY(const auto table, unpack<fbs::JoinRequest>(from, "a request to join"));
  return JoinRequest{.node = NodeId(table->node),
                     .directory = {table->directory_high, table->directory_low},
                     .address = {table->host, table->port},
                     .roles = table->roles,
                     .zone = table->zone,
                     .product = table->product,
                     .member = table->member,
                     .forwarded = table->forwarded};
}

std::string encode(const JoinAnswer& from) {
  fbs::JoinAnswerT to;
  to.cluster_high = from.cluster.high;
  to.cluster_low = from.cluster.low;
  for (const NodeId node : from.founders) to.founders.push_back(node.value);
  for (const auto& [node, at] : from.members) {
    auto member = std::make_unique<fbs::JoinMemberT>();
    member->node = node.value;
    member->host = at.host;
    member->port = at.port;
    to.members.push_back(std::move(member));
  }
  return pack(to);
}

Result<JoinAnswer> decode_join_answer(std::string_view from) {
  STELE_TRY(const auto table, unpack<fbs::JoinAnswer>(from, "the answer to a request to join"));
  JoinAnswer out;
  out.cluster = {table->cluster_high, table->cluster_low};
  for (const std::uint32_t node : table->founders) out.founders.insert(NodeId(node));
  for (const auto& member : table->members) out.members[NodeId(member->node)] = {member->host, member->port};
  if (out.cluster.is_zero() || out.founders.empty())
    return error(ErrorCode::kMalformed, "the answer to a request to join names no cluster");
  return out;
}

}  // namespace stele::meta
