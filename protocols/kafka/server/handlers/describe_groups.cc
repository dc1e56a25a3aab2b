// DescribeGroups: state and members. A group that does not exist is "Dead", from version 6 on also an error
// (KIP-1043).
#include "protocols/kafka/messages/describe_groups.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

using Out = DescribeGroupsResponse::Group;

// Bits of KIP-430 by operation code: READ 3, DELETE 6, DESCRIBE 8.
std::int32_t authorized_operations(HandlerContext& context, const std::string& group) {
  auto& authorizer = context.broker.authorizer();
  std::int32_t bits = 0;
  const auto add = [&](broker::Action action, int operation) {
    if (authorizer.allowed(context.principal, action, group)) bits |= 1 << operation;
  };
  add(broker::Action::kUseGroup, 3);
  add(broker::Action::kDeleteGroup, 6);
  add(broker::Action::kDescribeGroup, 8);
  return bits;
}

runtime::Task<Out> describe_one(HandlerContext& context, std::string group, std::int16_t version,
                                bool with_operations) {
  Out out;
  out.group_id = group;
  broker::GroupDescription there = co_await context.broker.describe_group(context.principal, group);
  out.error = group_error(there.error, KafkaError::kCoordinatorNotAvailable);
  if (there.error == broker::GroupError::kNotFound) {
    out.group_state = "Dead";
    if (version >= 6) {
      out.error_message = "Group " + group + " not found.";
    } else {
      out.error = KafkaError::kNone;
    }
  }
  if (there.error != broker::GroupError::kNone) co_return out;
  out.group_state = group_state_name(there.phase);
  out.protocol_type = std::move(there.protocol_type);
  out.protocol_data = std::move(there.protocol);
  for (broker::GroupMember& member : there.members) {
    DescribeGroupsResponse::Member& one = out.members.emplace_back();
    one.member_id = std::move(member.id);
    one.group_instance_id = std::move(member.instance_id);
    one.client_id = std::move(member.client_id);
    one.client_host = std::move(member.client_host);
    if (!member.protocols.empty()) one.metadata = std::move(member.protocols.front().metadata);
    one.assignment = std::move(member.assignment);
  }
  if (with_operations) out.authorized_operations = authorized_operations(context, group);
  co_return out;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_describe_groups(HandlerContext& context,
                                                            IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<DescribeGroupsRequest>(request));
  DescribeGroupsResponse response;
  for (const std::string& group : body.groups) {
    response.groups.push_back(co_await describe_one(context, group, request.request.header.version,
                                                    body.include_authorized_operations));
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
