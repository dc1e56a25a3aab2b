// AlterConfigs (KIP-133): gives topics other settings; what is not named gets its default.
#include "protocols/kafka/messages/alter_configs.h"

#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/kafka/server/handlers/alteration.h"

namespace stele::kafka {
namespace {

using Asked = AlterConfigsRequest::Resource;

Result<std::vector<meta::ConfigChange>> changes_of(const Asked& asked) {
  std::vector<meta::ConfigChange> changes;
  std::set<std::string_view> seen;
  for (const auto& config : asked.configs) {
    if (!seen.insert(config.name).second)
      return error(ErrorCode::kInvalidArgument, "Error due to duplicate config keys: " + config.name);
    if (!config.value)
      return error(ErrorCode::kInvalidArgument, "Null value not supported for " + config.name);
    changes.push_back({config.name, meta::ConfigOp::kSet, *config.value});
  }
  return changes;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_alter_configs(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<AlterConfigsRequest>(request));
  std::vector<Alteration> alterations;
  for (const Asked& asked : body.resources)
    alterations.push_back({asked.resource_type, asked.resource_name, changes_of(asked)});
  auto answers = co_await alter_each(context, std::move(alterations), true, body.validate_only);
  AlterConfigsResponse response;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    response.responses.push_back({answers[i].error, std::move(answers[i].error_message),
                                  body.resources[i].resource_type, body.resources[i].resource_name});
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
