// Topics, as protocols make and change them: who may, and the commands that it comes to.
#include <span>
#include <utility>

#include "base/marks.h"
#include "broker/core.h"

namespace stele::broker {

using runtime::Task;

namespace {

std::unexpected<Error> not_allowed(const Principal& who, Action action, const std::string& topic) {
  return error(ErrorCode::kUnauthorized,
               "'" + who.name + "' may not " + std::string(to_string(action)) + " '" + topic + "'");
}

}  // namespace

Result<void> Core::check_captures(const Principal& who, const std::string& topic,
                                  std::span<const std::string> filters) {
  for (const std::string& filter : filters) {
    if (authorizer().allowed(who, Action::kSubscribe, filter)) continue;
    STELE_MARK("broker: topic that captures what its maker may not see refused");
    return error(ErrorCode::kUnauthorized, "'" + who.name + "' may not subscribe to '" + filter +
                                               "', which the topic '" + topic + "' would capture");
  }
  return {};
}

Task<Result<meta::Topic>> Core::create_topic(Principal who, std::string name, std::int32_t partitions,
                                             meta::TopicConfig config, bool validate_only) {
  if (!authorizer().allowed(who, Action::kCreateTopic, name))
    co_return not_allowed(who, Action::kCreateTopic, name);
  STELE_CO_CHECK(check_captures(who, name, config.capture));
  co_return co_await meta_.execute(meta::CreateTopic{.tenant = who.tenant,
                                                     .name = std::move(name),
                                                     .partitions = partitions,
                                                     .config = std::move(config),
                                                     .validate_only = validate_only});
}

Task<Result<void>> Core::delete_topic(Principal who, std::string name) {
  if (!authorizer().allowed(who, Action::kDeleteTopic, name))
    co_return not_allowed(who, Action::kDeleteTopic, name);
  STELE_CO_CHECK(
      co_await meta_.execute(meta::DeleteTopic{.tenant = who.tenant, .name = std::move(name), .id = {}}));
  co_return Result<void>();
}

Task<Result<meta::Topic>> Core::add_partitions(Principal who, std::string name, std::int32_t count,
                                               bool validate_only) {
  if (!authorizer().allowed(who, Action::kAlterTopic, name))
    co_return not_allowed(who, Action::kAlterTopic, name);
  co_return co_await meta_.execute(meta::CreatePartitions{
      .tenant = who.tenant, .name = std::move(name), .count = count, .validate_only = validate_only});
}

Task<Result<meta::Topic>> Core::alter_topic(Principal who, std::string name, TopicChanges changes) {
  if (!authorizer().allowed(who, Action::kAlterTopic, name))
    co_return not_allowed(who, Action::kAlterTopic, name);
  // What the changes name by themselves, whatever the topic captures by then. Wrong ones the meta service
  // refuses.
  if (const auto named = meta::changed_topic_config({}, changes.settings)) {
    STELE_CO_CHECK(check_captures(who, name, named->capture));
  }
  co_return co_await meta_.execute(meta::AlterTopicConfig{.tenant = who.tenant,
                                                          .name = std::move(name),
                                                          .changes = std::move(changes.settings),
                                                          .reset_others = changes.reset_others,
                                                          .validate_only = changes.validate_only});
}

}  // namespace stele::broker
