// What AlterConfigs and IncrementalAlterConfigs have in common: settings of topics, all of one resource or
// none. The broker's own change with a restart only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {

struct Alteration {
  std::int8_t resource_type = 0;
  std::string resource_name;
  Result<std::vector<meta::ConfigChange>> changes;  // kInvalidArgument: the request makes no sense
};

struct Altered {
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message = std::nullopt;
};

// An answer to each, in order.
runtime::Task<std::vector<Altered>> alter_each(HandlerContext& context, std::vector<Alteration> alterations,
                                               bool reset_others, bool validate_only);

}  // namespace stele::kafka
