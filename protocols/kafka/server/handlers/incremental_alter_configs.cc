// IncrementalAlterConfigs (KIP-339): changes single settings of topics.
#include "protocols/kafka/messages/incremental_alter_configs.h"

#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/kafka/server/handlers/alteration.h"

namespace stele::kafka {
namespace {

using Asked = IncrementalAlterConfigsRequest::Resource;

constexpr std::int8_t kSubtract = 3;

Result<std::vector<meta::ConfigChange>> changes_of(const Asked& asked) {
  std::vector<meta::ConfigChange> changes;
  std::set<std::string_view> seen;
  for (const auto& config : asked.configs) {
    if (!seen.insert(config.name).second)
      return error(ErrorCode::kInvalidArgument, "Error due to duplicate config keys: " + config.name);
    if (config.operation < 0 || config.operation > kSubtract)
      return error(ErrorCode::kInvalidArgument, "Unknown operation of " + config.name);
    const auto op = static_cast<meta::ConfigOp>(config.operation);
    if (op != meta::ConfigOp::kDelete && !config.value)
      return error(ErrorCode::kInvalidArgument, "Null value not supported for " + config.name);
    changes.push_back({config.name, op, config.value.value_or("")});
  }
  return changes;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_incremental_alter_configs(HandlerContext& context,
                                                                      IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<IncrementalAlterConfigsRequest>(request));
  std::vector<Alteration> alterations;
  for (const Asked& asked : body.resources)
    alterations.push_back({asked.resource_type, asked.resource_name, changes_of(asked)});
  auto answers = co_await alter_each(context, std::move(alterations), false, body.validate_only);
  IncrementalAlterConfigsResponse response;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    response.responses.push_back({answers[i].error, std::move(answers[i].error_message),
                                  body.resources[i].resource_type, body.resources[i].resource_name});
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
