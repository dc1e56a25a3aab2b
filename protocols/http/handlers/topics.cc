// Topics: list, create, describe, alter, delete.
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "protocols/http/json.h"
#include "protocols/http/router.h"

namespace stele::http {
namespace {

Json summary(const meta::Topic& topic) {
  return {{"name", topic.name},
          {"id", topic.uuid.to_string()},
          {"partitions", topic.partition_count()},
          {"capture", topic.config.capture},
          {"created_ms", topic.created_ms}};
}

Json configs_of(const meta::Topic& topic) {
  Json configs = Json::array();
  for (const meta::ConfigEntry& entry : meta::describe(topic.config)) {
    configs.push_back({{"name", entry.name}, {"value", entry.value}, {"default", entry.is_default}});
  }
  return configs;
}

struct CreateTopic {
  std::string name;
  std::int32_t partitions;
  meta::TopicConfig config;
  bool validate_only = false;
};

// Null where the value is null.
Result<std::vector<std::pair<std::string, std::optional<std::string>>>> read_configs(const Json& configs) {
  if (!configs.is_object())
    return std::unexpected(wrong_request("'configs' is an object of names and values"));
  std::vector<std::pair<std::string, std::optional<std::string>>> pairs;
  for (const auto& [name, value] : configs.items()) {
    if (value.is_string()) {
      pairs.emplace_back(name, value.get<std::string>());
    } else if (value.is_number_integer() || value.is_boolean()) {
      pairs.emplace_back(name, value.dump());
    } else if (value.is_null()) {
      pairs.emplace_back(name, std::nullopt);
    } else {
      return std::unexpected(
          wrong_request("the value of '" + name + "' in 'configs' is a string or a whole number"));
    }
  }
  return pairs;
}

Result<std::int32_t> read_partitions(const Json& value) {
  const auto wanted = value.get<std::int64_t>();
  if (wanted < 1 || wanted > INT32_MAX)
    return std::unexpected(wrong_request("a topic has at least one partition"));
  return static_cast<std::int32_t>(wanted);
}

Result<CreateTopic> read_create(const std::string& text, std::int32_t default_partitions) {
  const Json body = Json::parse(text, nullptr, false);
  if (!body.is_object()) return std::unexpected(wrong_request("the body is not a JSON object"));
  CreateTopic create{.name = {}, .partitions = default_partitions, .config = {}};
  std::vector<meta::ConfigPair> pairs;
  for (const auto& [key, value] : body.items()) {
    if (key == "name" && value.is_string()) {
      create.name = value.get<std::string>();
    } else if (key == "partitions" && value.is_number_integer()) {
      STELE_TRY(create.partitions, read_partitions(value));
    } else if (key == "configs") {
      STELE_TRY(const auto configs, read_configs(value));
      for (const auto& [name, text] : configs) {
        if (!text) return std::unexpected(wrong_request("the value of '" + name + "' in 'configs' is null"));
        pairs.emplace_back(name, *text);
      }
    } else if (key == "validate_only" && value.is_boolean()) {
      create.validate_only = value.get<bool>();
    } else if (key == "name" || key == "partitions" || key == "validate_only") {
      return std::unexpected(wrong_request("'" + key + "' has the wrong type"));
    } else {
      return std::unexpected(
          wrong_request("'" + key + "' is none of name, partitions, configs, validate_only"));
    }
  }
  if (create.name.empty()) return std::unexpected(wrong_request("'name' is missing"));
  STELE_TRY(create.config, meta::parse_topic_config(pairs));
  return create;
}

struct AlterTopic {
  std::optional<std::int32_t> partitions;
  std::optional<std::vector<meta::ConfigChange>> changes;
  bool validate_only = false;
};

Result<AlterTopic> read_alter(const std::string& text) {
  const Json body = Json::parse(text, nullptr, false);
  if (!body.is_object()) return std::unexpected(wrong_request("the body is not a JSON object"));
  AlterTopic alter;
  for (const auto& [key, value] : body.items()) {
    if (key == "partitions" && value.is_number_integer()) {
      STELE_TRY(alter.partitions, read_partitions(value));
    } else if (key == "configs") {
      STELE_TRY(const auto configs, read_configs(value));
      alter.changes.emplace();
      for (const auto& [name, wanted] : configs) {
        alter.changes->push_back(
            {name, wanted ? meta::ConfigOp::kSet : meta::ConfigOp::kDelete, wanted.value_or("")});
      }
    } else if (key == "validate_only" && value.is_boolean()) {
      alter.validate_only = value.get<bool>();
    } else if (key == "partitions" || key == "validate_only") {
      return std::unexpected(wrong_request("'" + key + "' has the wrong type"));
    } else {
      return std::unexpected(wrong_request("'" + key + "' is none of partitions, configs, validate_only"));
    }
  }
  // Each is done as a whole or not at all; both together could be done by halves.
  if (alter.partitions.has_value() == alter.changes.has_value())
    return std::unexpected(wrong_request("either 'partitions' or 'configs' is given"));
  return alter;
}

// Null if there is none, or none that this principal may see.
const meta::Topic* find_topic(const HandlerContext& context, const meta::MetaView& view,
                              const std::string& name) {
  if (!context.backend.authorizer.allowed(context.principal, broker::Action::kDescribe, name)) return nullptr;
  return view.find_topic(context.principal.tenant, name);
}

const Error& without_broker() {
  static const Error kError{ErrorCode::kUnsupported,
                            "this node does not have the role broker: ask one that has, about topics"};
  return kError;
}

Response no_broker() {
  return error_response(without_broker());
}

runtime::Task<Result<broker::StreamStatus>> status_of(HandlerContext& context, StreamId stream) {
  if (!context.backend.broker) co_return std::unexpected(without_broker());
  co_return co_await context.backend.broker->stream_status(context.principal, stream);
}

Response no_such_topic(const std::string& name) {
  return error_response(Error{ErrorCode::kNotFound, "there is no topic '" + name + "'"});
}

}  // namespace

runtime::Task<Response> handle_list_topics(HandlerContext& context, RoutedRequest) {
  const auto view = context.backend.view();
  Json topics = Json::array();
  for (const auto& [key, topic] : view->topics_by_name()) {
    if (key.tenant != context.principal.tenant) continue;
    if (!context.backend.authorizer.allowed(context.principal, broker::Action::kDescribe, topic->name))
      continue;
    topics.push_back(summary(*topic));
  }
  co_return json_response(200, {{"topics", std::move(topics)}});
}

runtime::Task<Response> handle_create_topic(HandlerContext& context, RoutedRequest request) {
  broker::Broker* const broker = context.backend.broker;
  if (!broker) co_return no_broker();
  auto create = read_create(request.body, broker->default_partitions());
  if (!create) co_return error_response(create.error());
  const bool validate_only = create->validate_only;
  const auto made = co_await broker->create_topic(context.principal, create->name, create->partitions,
                                                  create->config, validate_only);
  if (!made) co_return error_response(made.error());
  Json body = summary(*made);
  if (validate_only) body.erase("id");
  body["configs"] = configs_of(*made);
  co_return json_response(validate_only ? 200 : 201, body);
}

runtime::Task<Response> handle_describe_topic(HandlerContext& context, RoutedRequest request) {
  const std::string& name = request.path.back();
  const auto view = context.backend.view();
  const meta::Topic* topic = find_topic(context, *view, name);
  if (!topic) co_return no_such_topic(name);
  Json partitions = Json::array();
  for (std::int32_t i = 0; i < topic->partition_count(); ++i) {
    const auto status = co_await status_of(context, StreamId{topic->id, PartitionId(i)});
    Json one = {{"partition", i}, {"shard", topic->shards[static_cast<std::size_t>(i)].value}};
    if (status) {
      one["epoch"] = status->epoch.value;
      one["log_start"] = status->log_start.value;
      one["high_watermark"] = status->high_watermark.value;
      one["bytes"] = status->bytes;
    } else if (status.error().code == ErrorCode::kNotFound) {
      co_return no_such_topic(name);  // deleted meanwhile
    } else {
      one["error"] = status.error().message;
    }
    partitions.push_back(std::move(one));
  }
  Json body = summary(*topic);
  body["partitions"] = std::move(partitions);
  body["configs"] = configs_of(*topic);
  co_return json_response(200, body);
}

runtime::Task<Response> handle_alter_topic(HandlerContext& context, RoutedRequest request) {
  const std::string& name = request.path.back();
  broker::Broker* const broker = context.backend.broker;
  if (!broker) co_return no_broker();
  auto alter = read_alter(request.body);
  if (!alter) co_return error_response(alter.error());
  auto altered =
      alter->partitions
          ? co_await broker->add_partitions(context.principal, name, *alter->partitions, alter->validate_only)
          : co_await broker->alter_topic(
                context.principal, name,
                {.settings = *std::move(alter->changes), .validate_only = alter->validate_only});
  if (!altered) co_return error_response(altered.error());
  Json body = summary(*altered);
  body["configs"] = configs_of(*altered);
  co_return json_response(200, body);
}

runtime::Task<Response> handle_delete_topic(HandlerContext& context, RoutedRequest request) {
  const std::string& name = request.path.back();
  if (!context.backend.broker) co_return no_broker();
  const auto deleted = co_await context.backend.broker->delete_topic(context.principal, name);
  if (!deleted) co_return error_response(deleted.error());
  co_return no_content();
}

}  // namespace stele::http
