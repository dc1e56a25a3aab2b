#include "server/config.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/nearest.h"
#include "server/config_file.h"
#include "server/config_values.h"

namespace stele::server {
namespace {

using runtime::Endpoint;
using runtime::tls::ClientCertificate;
using Values = std::span<const std::string>;

constexpr std::pair<std::string_view, ClientCertificate> kClientCertificates[] = {
    {"none", ClientCertificate::kNone},
    {"optional", ClientCertificate::kOptional},
    {"required", ClientCertificate::kRequired},
};

std::unexpected<Error> wrong(std::string message) {
  return error(ErrorCode::kInvalidArgument, std::move(message));
}

// ---- kinds of options -----------------------------------------------------------------------------------

// One value, read by `parse` and shown by `show`.
template <class T, class Parse, class Show>
Option single(std::string name, std::string value, T Config::* place, std::string help, Parse parse,
              Show show) {
  return {.name = std::move(name),
          .value = std::move(value),
          .help = std::move(help),
          .read = [place, parse](Config& config, Values values) -> Result<void> {
            STELE_ASSERT(!values.empty());
            STELE_TRY(auto parsed, parse(values.back()));
            config.*place = static_cast<T>(std::move(parsed));
            return {};
          },
          .show = [place, show](const Config& config) { return show(config.*place); }};
}

template <class T>
Option number(std::string name, T Config::* place, std::uint64_t min, std::uint64_t max, std::string help) {
  return single(
      std::move(name), "N", place, std::move(help),
      [min, max](std::string_view text) { return parse_number(text, min, max); },
      [](const T& value) { return std::to_string(value); });
}

Option bytes(std::string name, std::uint64_t Config::* place, std::uint64_t min, std::uint64_t max,
             std::string help) {
  return single(
      std::move(name), "SIZE", place, std::move(help),
      [min, max](std::string_view text) { return parse_bytes(text, min, max); },
      [](std::uint64_t value) { return show_bytes(value); });
}

// `anywhere`: also where other machines can reach it.
Result<std::vector<Endpoint>> parse_listeners(Values values, bool anywhere) {
  std::vector<Endpoint> endpoints;
  if (values.size() == 1 && values.front() == "off") return endpoints;
  for (const std::string& text : values) {
    if (text == "off") return wrong("'off' stands alone");
    STELE_TRY(Endpoint endpoint, runtime::parse_endpoint(text));
    if (!anywhere && !is_loopback(endpoint.host)) {
      return wrong("'" + text +
                   "' is not a loopback address: other machines reach the broker with TLS only, so listen on "
                   "127.0.0.1, [::1] or localhost, or use the flag of the same name that ends in -tls");
    }
    if (endpoint.port != 0 && std::ranges::find(endpoints, endpoint) != endpoints.end()) {
      return wrong("'" + text + "' is there twice");
    }
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

Option listeners(std::string name, std::vector<Endpoint> Config::* place, std::string help,
                 bool anywhere = false) {
  return {.name = std::move(name),
          .value = "HOST:PORT",
          .repeatable = true,
          .help = std::move(help),
          .read = [place, anywhere](Config& config, Values values) -> Result<void> {
            STELE_TRY(config.*place, parse_listeners(values, anywhere));
            return {};
          },
          .show =
              [place](const Config& config) {
                std::string out;
                for (const Endpoint& at : config.*place) out += (out.empty() ? "" : ",") + at.to_string();
                return out.empty() ? "off" : out;
              }};
}

// ---- the table ------------------------------------------------------------------------------------------

void add_first(std::vector<Option>& all) {
  all.push_back(single(
      "data", "DIR", &Config::data, "where everything is kept; made if it is missing",
      [](std::string_view text) -> Result<std::string> {
        if (text.empty()) return wrong("'' is not a directory");
        return std::string(text);
      },
      [](const std::string& value) { return value; }));
  all.push_back(listeners("mqtt", &Config::mqtt, "listen for MQTT clients; port 0 picks one, `off`: do not"));
  all.push_back(listeners("kafka", &Config::kafka, "the same for Kafka clients"));
  all.push_back(listeners("http", &Config::http, "the same for health, metrics and administration"));
  all.push_back(single(
      "advertise-kafka", "HOST:PORT", &Config::advertise_kafka,
      "what Kafka clients are told to connect to; port 0: the one listened on (default: the address listened "
      "on)",
      [](std::string_view text) { return runtime::parse_endpoint(text); },
      [](const std::optional<Endpoint>& value) { return value ? value->to_string() : std::string(); }));
  all.push_back(single(
      "durability", "fsync|flush|memory", &Config::durability,
      "an acknowledged record is on the disk; with the operating system; in memory",
      [](std::string_view text) -> Result<storage::Durability> {
        auto parsed = storage::parse_durability(text);
        if (!parsed) return wrong("'" + std::string(text) + "' is none of fsync, flush, memory");
        return parsed;
      },
      [](storage::Durability value) { return std::string(storage::to_string(value)); }));
  all.push_back(single(
      "cores", "N", &Config::cores, "threads that serve (default: one per core of the machine)",
      [](std::string_view text) { return parse_number(text, 1, 256); },
      [](const std::optional<std::uint32_t>& value) {
        return value ? std::to_string(*value) : std::string();
      }));
  all.push_back(single(
      "log-level", "LEVEL", &Config::log_level, "trace, debug, info, warn, error or off; to standard error",
      [](std::string_view text) { return parse_log_level(text); },
      [](runtime::LogLevel value) { return std::string(to_string(value)); }));
  all.push_back(number("shards", &Config::shards, 1, 4096,
                       "shards of a new data directory; one that exists keeps what it has"));
}

Option text(std::string name, std::string value, std::string Config::* place, std::string help) {
  return single(
      std::move(name), std::move(value), place, std::move(help),
      [](std::string_view given) -> Result<std::string> {
        if (given.empty()) return wrong("it is empty");
        return std::string(given);
      },
      [](const std::string& shown) { return shown; });
}

void add_tls(std::vector<Option>& all) {
  all.push_back(listeners("mqtt-tls", &Config::mqtt_tls,
                          "listen for MQTT clients that speak TLS, on any address", true));
  all.push_back(listeners("kafka-tls", &Config::kafka_tls, "the same for Kafka clients", true));
  all.push_back(
      listeners("http-tls", &Config::http_tls, "the same for health, metrics and administration", true));
  all.push_back(single(
      "advertise-kafka-tls", "HOST:PORT", &Config::advertise_kafka_tls,
      "what Kafka clients with TLS are told to connect to, as --advertise-kafka",
      [](std::string_view text) { return runtime::parse_endpoint(text); },
      [](const std::optional<Endpoint>& value) { return value ? value->to_string() : std::string(); }));
  all.push_back(text("tls-certificate", "FILE", &Config::tls_certificate,
                     "the node's certificate and what it is signed by, in PEM; read again when it changes"));
  all.push_back(text("tls-key", "FILE", &Config::tls_key, "its private key, without a passphrase; likewise"));
  all.push_back(text("tls-client-ca", "FILE", &Config::tls_client_ca,
                     "who signs the certificates of clients; likewise"));
  all.push_back(single(
      "tls-clients", "none|optional|required", &Config::tls_clients,
      "whether clients are asked for a certificate, whose common name is a user's",
      [](std::string_view given) -> Result<ClientCertificate> {
        for (const auto& [name, value] : kClientCertificates) {
          if (given == name) return value;
        }
        return wrong("'" + std::string(given) + "' is none of none, optional, required");
      },
      [](ClientCertificate shown) {
        for (const auto& [name, value] : kClientCertificates) {
          if (shown == value) return std::string(name);
        }
        return std::string();
      }));
}

constexpr std::pair<std::string_view, meta::NodeRole> kRoles[] = {
    {"meta", meta::kMetaRole},
    {"journal", meta::kJournalRole},
    {"broker", meta::kBrokerRole},
};

Result<std::uint32_t> parse_roles(std::string_view text) {
  std::uint32_t roles = 0;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view name = text.substr(0, comma);
    const auto found = std::ranges::find(kRoles, name, &std::pair<std::string_view, meta::NodeRole>::first);
    if (found == std::end(kRoles))
      return wrong("'" + std::string(name) + "' is none of meta, journal, broker");
    roles |= found->second;
    if (comma == std::string_view::npos) return roles;
    text.remove_prefix(comma + 1);
  }
}

std::string show_roles(std::uint32_t roles) {
  std::string out;
  for (const auto& [name, role] : kRoles) {
    if (roles & role) out += (out.empty() ? "" : ",") + std::string(name);
  }
  return out;
}

Option endpoint(std::string name, std::optional<Endpoint> Config::* place, std::string help) {
  return single(
      std::move(name), "HOST:PORT", place, std::move(help),
      [](std::string_view text) { return runtime::parse_endpoint(text); },
      [](const std::optional<Endpoint>& value) { return value ? value->to_string() : std::string(); });
}

void add_cluster(std::vector<Option>& all) {
  all.push_back(endpoint(
      "rpc", &Config::rpc,
      "listen for other nodes, as part of a cluster; not finished, see docs/cluster.md (default: alone)"));
  all.push_back(endpoint("rpc-advertise", &Config::rpc_advertise,
                         "where other nodes reach that (default: the address listened on)"));
  all.push_back(single(
      "roles", "ROLE,…", &Config::roles, "what the node does in its cluster",
      [](std::string_view text) { return parse_roles(text); },
      [](std::uint32_t value) { return show_roles(value); }));
  all.push_back(single(
      "node-id", "N", &Config::node_id,
      "its number, which no other node has (default: that of the data directory, or 1 of a new cluster)",
      [](std::string_view text) { return parse_number(text, 1, UINT32_MAX); },
      [](const std::optional<std::uint32_t>& value) {
        return value ? std::to_string(*value) : std::string();
      }));
  all.push_back({.name = "join",
                 .value = "HOST:PORT",
                 .repeatable = true,
                 .help = "nodes of the cluster to ask for a place in it; without, a new node founds one",
                 .read = [](Config& config, Values values) -> Result<void> {
                   config.join.clear();
                   for (const std::string& text : values) {
                     STELE_TRY(Endpoint at, runtime::parse_endpoint(text));
                     config.join.push_back(std::move(at));
                   }
                   return {};
                 },
                 .show =
                     [](const Config& config) {
                       std::string out;
                       for (const Endpoint& at : config.join)
                         out += (out.empty() ? "" : ",") + at.to_string();
                       return out;
                     }});
  all.push_back(text("zone", "NAME", &Config::zone, "nodes of one zone are lost together"));
  all.push_back(text("rpc-certificate", "FILE", &Config::rpc_certificate,
                     "the node's certificate between nodes, of the name node-N, in PEM"));
  all.push_back(text("rpc-key", "FILE", &Config::rpc_key, "its private key, without a passphrase"));
  all.push_back(
      text("rpc-ca", "FILE", &Config::rpc_ca, "who signs the certificates of all nodes, and of nobody else"));
  all.push_back(single(
      "rpc-without-tls", "BOOL", &Config::rpc_without_tls,
      "let nodes on other machines in without certificates: whoever reaches the port is a node",
      [](std::string_view text) { return parse_bool(text); },
      [](bool value) { return std::string(value ? "true" : "false"); }));
}

void add_identities(std::vector<Option>& all) {
  all.push_back(
      text("admin-user", "NAME", &Config::admin_user,
           "an administrator, made if there is no user of that name; from then on everybody logs in"));
  all.push_back(text("admin-password-file", "FILE", &Config::admin_password_file,
                     "its first line is the administrator's password (default: STELE_ADMIN_PASSWORD in the "
                     "environment)"));
}

// As browsers write it, in lower case.
Result<std::string> parse_origin(std::string text) {
  if (text == "*") return text;
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const std::size_t scheme = text.find("://");
  const std::string_view host = scheme == std::string::npos ? "" : std::string_view(text).substr(scheme + 3);
  if (scheme == 0 || host.empty() || host.find_first_of("/?#* ") != std::string_view::npos) {
    return wrong("'" + text + "' is no origin: it is SCHEME://HOST or SCHEME://HOST:PORT, or '*'");
  }
  return text;
}

void add_websocket(std::vector<Option>& all) {
  all.push_back(single(
      "mqtt-websocket", "BOOL", &Config::mqtt_websocket, "MQTT over WebSocket at /mqtt of the HTTP listeners",
      [](std::string_view text) { return parse_bool(text); },
      [](bool value) { return std::string(value ? "true" : "false"); }));
  all.push_back({.name = "websocket-origin",
                 .value = "ORIGIN",
                 .repeatable = true,
                 .help = "web pages that may open a WebSocket, besides the node's own; `*`: all",
                 .read = [](Config& config, Values values) -> Result<void> {
                   config.websocket_origins.clear();
                   for (const std::string& text : values) {
                     STELE_TRY(std::string origin, parse_origin(text));
                     config.websocket_origins.push_back(std::move(origin));
                   }
                   return {};
                 },
                 .show =
                     [](const Config& config) {
                       std::string out;
                       for (const std::string& origin : config.websocket_origins) {
                         out += (out.empty() ? "" : ",") + origin;
                       }
                       return out;
                     }});
}

void add_limits(std::vector<Option>& all) {
  constexpr std::uint64_t kMany = 1ULL << 40;
  all.push_back(single(
      "auto-create-topics", "BOOL", &Config::auto_create_topics,
      "a Kafka topic is made when it is first used", [](std::string_view text) { return parse_bool(text); },
      [](bool value) { return std::string(value ? "true" : "false"); }));
  all.push_back(number("default-partitions", &Config::default_partitions, 1, 10'000,
                       "partitions of a topic that is made without saying how many"));
  constexpr std::uint64_t kDayMs = 86'400'000;
  all.push_back(number("group-initial-rebalance-delay-ms", &Config::group_initial_rebalance_delay_ms, 0,
                       kDayMs,
                       "an empty consumer group waits so long for more members before its first generation"));
  all.push_back(number("group-min-session-timeout-ms", &Config::group_min_session_timeout_ms, 1, kDayMs,
                       "shortest session of a group's member; a shorter one is refused"));
  all.push_back(number("group-max-session-timeout-ms", &Config::group_max_session_timeout_ms, 1, kDayMs,
                       "longest session of a group's member; a longer one is refused"));
  all.push_back(number("group-max-size", &Config::group_max_size, 1, 1'000'000,
                       "members of one consumer group; more are refused"));
  all.push_back(number("offsets-retention-minutes", &Config::offsets_retention_minutes, 1, 1ULL << 31,
                       "offsets of a group without members are forgotten after so long"));
  all.push_back(number("session-queue-messages", &Config::session_queue_messages, 1, kMany,
                       "kept for a persistent session whose client is away; then the oldest goes"));
  all.push_back(bytes("session-queue-bytes", &Config::session_queue_bytes, 1 << 10, kMany, "likewise"));
  all.push_back(number("session-subscriptions", &Config::session_subscriptions, 1, 1'000'000,
                       "subscriptions of one MQTT session; more are refused"));
  all.push_back(number("retained-messages", &Config::retained_messages, 1, kMany,
                       "retained messages of one shard; more are refused"));
  all.push_back(bytes("retained-bytes", &Config::retained_bytes, 1 << 10, kMany, "likewise"));
  all.push_back(bytes("will-bytes", &Config::will_bytes, 1 << 10, kMany,
                      "wills of one shard's clients; a client beyond it is refused"));
  all.push_back(bytes("log-file-bytes", &Config::log_file_bytes, 1 << 20, 16ULL << 30,
                      "size of a file of the write-ahead log"));
  all.push_back(bytes("segment-bytes", &Config::segment_bytes, 1 << 20, 1ULL << 40,
                      "a shard begins a new segment after so much"));
  all.push_back(bytes("snapshot-log-bytes", &Config::snapshot_log_bytes, 1 << 20, 1ULL << 40,
                      "a shard writes a snapshot when its log grew by so much"));
  all.push_back(bytes("replay-bytes", &Config::replay_bytes, 1 << 20, 1ULL << 40,
                      "a core's shards write snapshots before a start would replay more than so much"));
  all.push_back(bytes("tail-cache-bytes", &Config::tail_cache_bytes, 1 << 20, kMany,
                      "newest records kept in memory, by each core and by the disk's log"));
  all.push_back(number("mqtt-max-connections", &Config::mqtt_max_connections, 1, 10'000'000,
                       "of a listener, on each core; more are closed"));
  all.push_back(bytes("mqtt-max-packet-bytes", &Config::mqtt_max_packet_bytes, 1 << 10, 256ULL << 20,
                      "longest PUBLISH of a client; a longer one ends its connection"));
  all.push_back(number(
      "mqtt-max-keep-alive-s", &Config::mqtt_max_keep_alive_s, 0, 65535,
      "longest keep alive of a 5.0 client; one that wants more, or none, is told this; 0: as it wants"));
  all.push_back(number("kafka-max-connections", &Config::kafka_max_connections, 1, 10'000'000,
                       "of a listener, on each core; more are closed"));
  all.push_back(bytes("kafka-max-request-bytes", &Config::kafka_max_request_bytes, 1 << 10, 1ULL << 30,
                      "longest request of a client; a longer one ends its connection"));
  all.push_back(
      number("kafka-fetch-sessions", &Config::kafka_fetch_sessions, 0, 1'000'000,
             "fetch sessions of a listener, on each core; who gets none fetches in full each time"));
}

const std::vector<Option>& table() {
  static const std::vector<Option> all = [] {
    std::vector<Option> made;
    add_first(made);
    add_tls(made);
    add_cluster(made);
    add_identities(made);
    add_websocket(made);
    add_limits(made);
    return made;
  }();
  return all;
}

const Option* find_option(std::string_view name) {
  const auto found = std::ranges::find(table(), name, &Option::name);
  return found == table().end() ? nullptr : &*found;
}

// ---- sources --------------------------------------------------------------------------------------------

Result<void> apply(Config& config, const Option& option, Values values, std::string_view where) {
  if (auto read = option.read(config, values); !read) {
    return std::unexpected(read.error().with_context(where));
  }
  return {};
}

Result<void> apply_file(Config& config, const ConfigFile& file) {
  STELE_TRY(const auto keys, read_config_file(file.path, file.text));
  for (const FileKey& key : keys) {
    const Option* option = find_option(key.name);
    if (!option) {
      const std::string meant = did_you_mean(key.name, option_names());
      return wrong(key.where + ": there is no key '" + key.name + "'" +
                   (meant.empty() ? "; docs/operating.md lists them all" : meant));
    }
    if (key.values.size() != 1 && !option->repeatable) {
      return wrong(key.where + ": '" + key.name + "' has one value, not a list");
    }
    STELE_CHECK(apply(config, *option, key.values, key.where + ": " + key.name));
  }
  return {};
}

Result<void> apply_environment(LoadedConfig& loaded, const std::map<std::string, std::string>& environment) {
  constexpr std::string_view kPrefix = "STELE_";
  std::map<std::string, const Option*> by_variable;
  std::vector<std::string> variables = {"STELE_CONFIG"};
  for (const Option& option : table()) {
    by_variable[option.variable()] = &option;
    variables.push_back(option.variable());
  }
  for (const auto& [variable, value] : environment) {
    if (!variable.starts_with(kPrefix) || variable == "STELE_CONFIG") continue;
    if (variable == "STELE_USER" || variable == "STELE_PASSWORD") continue;  // the other commands'
    if (variable == "STELE_ADMIN_PASSWORD") {
      loaded.config.admin_password = value;
      continue;
    }
    const auto found = by_variable.find(variable);
    if (found == by_variable.end()) {
      // A warning only: the prefix may be somebody else's too.
      loaded.warnings.push_back("the environment has " + variable + ", which means nothing to stele" +
                                did_you_mean(variable, variables));
      continue;
    }
    std::vector<std::string> values;
    std::string_view rest = value;
    while (found->second->repeatable && rest.find(',') != std::string_view::npos) {
      values.emplace_back(rest.substr(0, rest.find(',')));
      rest.remove_prefix(rest.find(',') + 1);
    }
    values.emplace_back(rest);
    STELE_CHECK(apply(loaded.config, *found->second, values, variable + " in the environment"));
  }
  return {};
}

}  // namespace

bool Config::open_to_others() const {
  for (const auto* list : {&mqtt_tls, &kafka_tls, &http_tls}) {
    if (!std::ranges::all_of(*list, is_loopback, &Endpoint::host)) return true;
  }
  return false;
}

namespace {

Result<void> check_cluster(const Config& config) {
  if (!config.rpc) {
    const std::pair<const char*, bool> needs[] = {
        {"rpc-advertise", config.rpc_advertise.has_value()},
        {"roles", config.roles != meta::kAllRoles},
        {"node-id", config.node_id.has_value()},
        {"join", !config.join.empty()},
        {"zone", !config.zone.empty()},
        {"rpc-certificate", !config.rpc_certificate.empty()},
        {"rpc-key", !config.rpc_key.empty()},
        {"rpc-ca", !config.rpc_ca.empty()},
        {"rpc-without-tls", config.rpc_without_tls},
    };
    for (const auto& [name, given] : needs) {
      if (given)
        return wrong("--" + std::string(name) + " is for a node of a cluster, and there is no --rpc");
    }
    return {};
  }
  const Endpoint& at = config.rpc_advertise.value_or(*config.rpc);
  if (config.rpc->port == 0 || at.port == 0) return wrong("--rpc needs a port that other nodes know, not 0");
  if (at.host == "0.0.0.0" || at.host == "::") {
    return wrong("--rpc " + at.to_string() +
                 " is no address that other nodes can connect to: say it with --rpc-advertise");
  }
  const bool tls = !config.rpc_certificate.empty();
  if (config.rpc_key.empty() == tls || config.rpc_ca.empty() == tls)
    return wrong("--rpc-certificate, --rpc-key and --rpc-ca belong together, and one is missing");
  if (!tls && !config.rpc_without_tls && !is_loopback(config.rpc->host)) {
    return wrong("--rpc " + config.rpc->to_string() +
                 " is not a loopback address: nodes on other machines need certificates (--rpc-certificate, "
                 "--rpc-key, --rpc-ca), or --rpc-without-tls says that they may do without");
  }
  if (tls && config.rpc_without_tls) return wrong("--rpc-without-tls is there, and so are certificates");
  if (!(config.roles & meta::kBrokerRole) && (!config.mqtt_tls.empty() || !config.kafka_tls.empty()))
    return wrong("clients are served by nodes with the role broker, and this one is to listen for them");
  return {};
}

}  // namespace

Result<void> check_together(const Config& config) {
  STELE_CHECK(check_cluster(config));
  if (config.tls_certificate.empty() != config.tls_key.empty()) {
    return wrong("--tls-certificate and --tls-key belong together, and one is missing");
  }
  if (config.tls_wanted() && config.tls_certificate.empty()) {
    return wrong("there is a listener with TLS, but no --tls-certificate and --tls-key");
  }
  if (!config.tls_wanted() && !config.tls_certificate.empty()) {
    return wrong("there is a certificate, but no listener with TLS (--mqtt-tls, --kafka-tls, --http-tls)");
  }
  const bool asked = config.tls_clients != ClientCertificate::kNone;
  if (asked == config.tls_client_ca.empty()) {
    return wrong("--tls-clients optional|required and --tls-client-ca belong together, and one is missing");
  }
  if (config.advertise_kafka_tls && config.kafka_tls.empty()) {
    return wrong("there is --advertise-kafka-tls, but no --kafka-tls");
  }
  return {};
}

std::string Option::variable() const {
  std::string out = "STELE_";
  for (const char c : name)
    out.push_back(c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  return out;
}

std::span<const Option> options() {
  return table();
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& names) {
  return stele::did_you_mean(name, std::vector<std::string_view>(names.begin(), names.end()));
}

std::vector<std::string> option_names() {
  std::vector<std::string> names;
  for (const Option& option : table()) names.push_back(option.name);
  return names;
}

std::string options_table() {
  std::string out = "| flag | default | |\n|---|---|---|\n";
  const Config defaults;
  for (const Option& option : table()) {
    std::string value = option.value;
    for (std::size_t at = 0; (at = value.find('|', at)) != std::string::npos; at += 2) value.insert(at, "\\");
    const std::string shown = option.show(defaults);
    out += "| `--" + option.name + " " + value + "` | " + (shown.empty() ? "" : "`" + shown + "`") + " | " +
           option.help + (option.repeatable ? " (repeatable)" : "") + " |\n";
  }
  return out;
}

std::optional<std::string> config_file_path(const std::optional<std::string>& flag,
                                            const std::map<std::string, std::string>& environment) {
  if (flag) return flag;
  const auto found = environment.find("STELE_CONFIG");
  if (found == environment.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

Result<LoadedConfig> load_config(const ConfigInputs& inputs) {
  LoadedConfig loaded;
  if (inputs.file) STELE_CHECK(apply_file(loaded.config, *inputs.file));
  STELE_CHECK(apply_environment(loaded, inputs.environment));
  for (const auto& [name, values] : inputs.flags) {
    const Option* option = find_option(name);
    STELE_ASSERT(option && !values.empty());
    STELE_CHECK(apply(loaded.config, *option, values, "--" + name));
  }
  return loaded;
}

}  // namespace stele::server
