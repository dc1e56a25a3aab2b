// stele topic: administers topics through the HTTP interface of a node (docs/formats/http-api.md).
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/cli/cli.h"
#include "server/cli/http_flags.h"
#include "server/cli/table.h"
#include "server/console.h"

namespace stele::server::cli {
namespace {

using runtime::Task;

struct TopicArguments {
  HttpFlags http;
  std::string name;
  int partitions = 0;  // 0: the node's default
  bool partitions_given = false;
  std::vector<std::string> captures;
  std::string key;
  std::string retention_ms, retention_bytes;
  std::vector<std::string> configs;  // NAME=VALUE
  std::vector<std::string> resets;   // names
};

// ---- showing --------------------------------------------------------------------------------------------

std::string join(const Json& list) {
  std::string out;
  for (const auto& one : list) out += (out.empty() ? "" : ",") + one.get<std::string>();
  return out;
}

std::string show_list(const Json& body) {
  Table table({"NAME", "PARTITIONS", "CAPTURE"});
  for (const auto& topic : body.at("topics")) {
    table.add(
        {topic.at("name").get<std::string>(), topic.at("partitions").dump(), join(topic.at("capture"))});
  }
  return table.empty() ? "" : table.text();
}

std::string show_topic(const Json& body) {
  std::string out = body.at("name").get<std::string>() + "  " + body.at("id").get<std::string>() + "\n\n";
  Table partitions({"PARTITION", "SHARD", "EPOCH", "LOG START", "HIGH WATERMARK", "BYTES"});
  for (const auto& one : body.at("partitions")) {
    const bool known = !one.contains("error");
    const auto cell = [&](const char* name) { return known ? one.at(name).dump() : std::string("?"); };
    partitions.add({one.at("partition").dump(), one.at("shard").dump(), cell("epoch"), cell("log_start"),
                    cell("high_watermark"), cell("bytes")});
  }
  Table configs({"CONFIG", "VALUE", ""});
  for (const auto& config : body.at("configs")) {
    configs.add({config.at("name").get<std::string>(), config.at("value").get<std::string>(),
                 config.at("default").get<bool>() ? "default" : ""});
  }
  return out + partitions.text() + "\n" + configs.text();
}

std::string partitions_text(const Json& topic) {
  const auto partitions = topic.at("partitions").get<int>();
  return std::to_string(partitions) + (partitions == 1 ? " partition\n" : " partitions\n");
}

// ---- commands -------------------------------------------------------------------------------------------

Task<int> list(runtime::Runtime& runtime, std::shared_ptr<TopicArguments> given) {
  const auto answer = co_await ask(runtime, given->http, "GET", "/v1/topics");
  co_return finish(answer, given->http.json, show_list);
}

Task<int> describe(runtime::Runtime& runtime, std::shared_ptr<TopicArguments> given) {
  const auto answer =
      co_await ask(runtime, given->http, "GET", "/v1/topics/" + http::escape_segment(given->name));
  co_return finish(answer, given->http.json, show_topic);
}

Task<int> remove(runtime::Runtime& runtime, std::shared_ptr<TopicArguments> given) {
  const auto answer =
      co_await ask(runtime, given->http, "DELETE", "/v1/topics/" + http::escape_segment(given->name));
  co_return finish(answer, given->http.json, [&](const Json&) { return "deleted " + given->name + "\n"; });
}

Result<Json> configs_of(const TopicArguments& given) {
  Json configs = Json::object();
  if (!given.captures.empty()) {
    std::string all;
    for (const std::string& filter : given.captures) {
      if (filter.find(',') != std::string::npos) {
        return error(ErrorCode::kInvalidArgument, "--capture: a filter has no commas: '" + filter + "'");
      }
      all += (all.empty() ? "" : ",") + filter;
    }
    configs["stele.capture"] = all;
  }
  if (!given.key.empty()) configs["stele.key"] = given.key;
  if (!given.retention_ms.empty()) configs["retention.ms"] = given.retention_ms;
  if (!given.retention_bytes.empty()) configs["retention.bytes"] = given.retention_bytes;
  for (const std::string& pair : given.configs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos) {
      return error(ErrorCode::kInvalidArgument, "--config: '" + pair + "' is not NAME=VALUE");
    }
    const std::string name = pair.substr(0, equals);
    if (configs.contains(name)) {
      return error(ErrorCode::kInvalidArgument, "--config: " + name + " is given twice");
    }
    configs[name] = pair.substr(equals + 1);
  }
  return configs;
}

Task<int> create(runtime::Runtime& runtime, std::shared_ptr<TopicArguments> given) {
  auto configs = configs_of(*given);
  if (!configs) {
    complain(configs.error().message);
    co_return kWrongUse;
  }
  Json body = {{"name", given->name}, {"configs", *std::move(configs)}};
  if (given->partitions_given) body["partitions"] = given->partitions;
  const auto answer = co_await ask(runtime, given->http, "POST", "/v1/topics", std::move(body));
  co_return finish(answer, given->http.json, [](const Json& made) {
    return "created " + made.at("name").get<std::string>() + " with " + partitions_text(made);
  });
}

Task<int> alter(runtime::Runtime& runtime, std::shared_ptr<TopicArguments> given) {
  auto configs = configs_of(*given);
  if (!configs) {
    complain(configs.error().message);
    co_return kWrongUse;
  }
  for (const std::string& name : given->resets) {
    if (configs->contains(name)) {
      complain("--reset: " + name + " is given a value as well");
      co_return kWrongUse;
    }
    (*configs)[name] = nullptr;
  }
  if (given->partitions_given == !configs->empty()) {
    complain("either --partitions is given, or what becomes of the configuration");
    co_return kWrongUse;
  }
  const bool more = given->partitions_given;
  Json body = more ? Json{{"partitions", given->partitions}} : Json{{"configs", *std::move(configs)}};
  const auto answer = co_await ask(runtime, given->http, "PATCH",
                                   "/v1/topics/" + http::escape_segment(given->name), std::move(body));
  co_return finish(answer, given->http.json, [more](const Json& altered) {
    const auto name = altered.at("name").get<std::string>();
    return more ? name + " has " + partitions_text(altered) : "changed " + name + "\n";
  });
}

// What a topic can be given when it is made, and later.
void add_configs(CLI::App* command, const std::shared_ptr<TopicArguments>& given) {
  command
      ->add_option("--capture", given->captures,
                   "takes in what MQTT publishes to topics that match (repeatable)")
      ->type_name("FILTER")
      ->allow_extra_args(false);
  command->add_option("--retention-ms", given->retention_ms, "records are kept so long; -1: for ever");
  command->add_option("--retention-bytes", given->retention_bytes,
                      "of each partition so much is kept; -1: all");
  command->add_option("--config", given->configs, "any other configuration of the topic (repeatable)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

}  // namespace

void add_topic(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment) {
  auto given = std::make_shared<TopicArguments>();
  given->http.environment = &environment;
  CLI::App* topic = app.add_subcommand("topic", "Creates, lists, describes, changes and deletes topics");
  topic->require_subcommand(1);
  CLI::App* making = add(topic, chosen, given, "create", "Creates a topic", create);
  making->add_option("name", given->name, "its name")->required();
  making->add_option("--partitions", given->partitions, "how many (default: the node's --default-partitions)")
      ->each([given](const std::string&) { given->partitions_given = true; });
  making->add_option("--key", given->key, "key of captured records: address (default), none, property:NAME");
  add_configs(making, given);
  CLI::App* altering =
      add(topic, chosen, given, "alter", "Gives a topic more partitions, or another configuration", alter);
  altering->add_option("name", given->name, "its name")->required();
  altering->add_option("--partitions", given->partitions, "how many it is to have in all")
      ->each([given](const std::string&) { given->partitions_given = true; });
  add_configs(altering, given);
  altering->add_option("--reset", given->resets, "a configuration that is as by default again (repeatable)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  add(topic, chosen, given, "list", "Lists all topics", list);
  add(topic, chosen, given, "describe", "Shows partitions, offsets and configuration of a topic", describe)
      ->add_option("name", given->name, "its name")
      ->required();
  add(topic, chosen, given, "delete", "Deletes a topic and what it holds", remove)
      ->add_option("name", given->name, "its name")
      ->required();
}

}  // namespace stele::server::cli
