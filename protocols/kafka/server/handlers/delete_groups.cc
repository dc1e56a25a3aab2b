// DeleteGroups: each group for itself; only those without members.
#include "protocols/kafka/messages/delete_groups.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {

runtime::Task<Result<ResponseBytes>> handle_delete_groups(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<DeleteGroupsRequest>(request));
  DeleteGroupsResponse response;
  for (const std::string& group : body.groups) {
    const auto error = co_await context.broker.delete_group(context.principal, group);
    response.results.push_back({group, group_error(error)});
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
