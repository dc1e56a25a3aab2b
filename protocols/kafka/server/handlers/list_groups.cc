// ListGroups: all groups, or those in some states (KIP-518), all of them of the classic type.
#include "protocols/kafka/messages/list_groups.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

constexpr std::string_view kClassic = "classic";

// Filters are compared without regard to case; none: everything.
bool named(const std::vector<std::string>& filter, std::string_view name) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  };
  return filter.empty() || std::ranges::any_of(filter, [&](const std::string& one) {
           return std::ranges::equal(one, name, same);
         });
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_list_groups(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<ListGroupsRequest>(request));
  ListGroupsResponse response;
  auto groups = co_await context.broker.list_groups(context.principal);
  if (!groups) {
    response.error = KafkaError::kCoordinatorLoadInProgress;
    co_return encode_response(request, response);
  }
  for (broker::ListedGroup& group : *groups) {
    const std::string_view state = group_state_name(group.phase);
    if (!named(body.states_filter, state) || !named(body.types_filter, kClassic)) continue;
    ListGroupsResponse::Group& one = response.groups.emplace_back();
    one.group_id = std::move(group.group);
    one.protocol_type = std::move(group.protocol_type);
    one.group_state = state;
    one.group_type = kClassic;
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
