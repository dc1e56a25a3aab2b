// What `stele serve` can be told, and where from: a flag `--name`, a variable `STELE_NAME`, a key `name` in a
// TOML file, or its default, in this order. One table (options()) is the source of all four, of the help text
// and of the table in docs/operating.md. Pure: arguments, environment and file content are handed in.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "meta/types.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "runtime/tls/context.h"
#include "storage/segment_store.h"

namespace stele::server {

struct Config {
  std::string data = "stele-data";
  std::vector<runtime::Endpoint> mqtt = {{"127.0.0.1", 1883}};
  std::vector<runtime::Endpoint> kafka = {{"127.0.0.1", 9092}};
  std::vector<runtime::Endpoint> http = {{"127.0.0.1", 8080}};
  std::optional<runtime::Endpoint> advertise_kafka;
  // The same with TLS.
  std::vector<runtime::Endpoint> mqtt_tls, kafka_tls, http_tls;
  std::optional<runtime::Endpoint> advertise_kafka_tls;
  std::string tls_certificate, tls_key, tls_client_ca;  // files
  runtime::tls::ClientCertificate tls_clients = runtime::tls::ClientCertificate::kNone;
  bool tls_wanted() const { return !mqtt_tls.empty() || !kafka_tls.empty() || !http_tls.empty(); }
  // Whether other machines can reach it, as clients.
  bool open_to_others() const;
  // Of a cluster; without `rpc` a node alone.
  std::optional<runtime::Endpoint> rpc, rpc_advertise;
  std::uint32_t roles = meta::kAllRoles;  // meta::NodeRole
  std::optional<std::uint32_t> node_id;
  std::vector<runtime::Endpoint> join;
  std::string zone;
  std::string rpc_certificate, rpc_key, rpc_ca;  // files
  bool rpc_without_tls = false;
  storage::Durability durability = storage::Durability::kFsync;
  std::optional<std::uint32_t> cores;  // none: all the machine has
  runtime::LogLevel log_level = runtime::LogLevel::kInfo;
  std::uint32_t shards = 64;

  std::string admin_user;
  std::string admin_password_file;
  std::optional<std::string> admin_password;  // from the environment only

  bool auto_create_topics = true;
  std::uint32_t default_partitions = 1;

  std::uint32_t group_initial_rebalance_delay_ms = 3000;
  std::uint32_t group_min_session_timeout_ms = 6000;
  std::uint32_t group_max_session_timeout_ms = 1'800'000;
  std::uint64_t group_max_size = 10'000;
  std::uint64_t offsets_retention_minutes = 7 * 24 * 60;

  std::uint64_t session_queue_messages = 1'000'000;
  std::uint64_t session_queue_bytes = 1ULL << 30;
  std::uint32_t session_subscriptions = 10'000;
  std::uint64_t retained_messages = 1'000'000;
  std::uint64_t retained_bytes = 256ULL << 20;
  std::uint64_t will_bytes = 256ULL << 20;

  std::uint64_t log_file_bytes = 64ULL << 20;
  std::uint64_t segment_bytes = 256ULL << 20;
  std::uint64_t snapshot_log_bytes = 64ULL << 20;
  std::uint64_t replay_bytes = 256ULL << 20;
  std::uint64_t tail_cache_bytes = 32ULL << 20;

  bool mqtt_websocket = true;
  std::vector<std::string> websocket_origins;

  std::uint32_t mqtt_max_connections = 100'000;
  std::uint64_t mqtt_max_packet_bytes = 16ULL << 20;
  std::uint32_t mqtt_max_keep_alive_s = 0;
  std::uint32_t kafka_max_connections = 100'000;
  std::uint64_t kafka_max_request_bytes = 100ULL << 20;
  std::uint32_t kafka_fetch_sessions = 1000;
};

struct Option {
  std::string name;   // of the flag and the key; the variable is STELE_ and this in capitals
  std::string value;  // what stands for the value in the help: "HOST:PORT"
  bool repeatable = false;
  std::string help;
  // Reads one value, or several if it is repeatable.
  std::function<Result<void>(Config&, std::span<const std::string>)> read;
  // The value of a configuration, as it would be given.
  std::function<std::string(const Config&)> show;

  std::string variable() const;
};

// Ordered as the help shows them. `config` itself is not among them: it is no setting of the node.
std::span<const Option> options();
std::vector<std::string> option_names();
// base/nearest.h, for names that are made at run time.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& names);
// The options as a table in Markdown, for docs/operating.md.
std::string options_table();

struct ConfigFile {
  std::string path;
  std::string text;
};

struct ConfigInputs {
  std::map<std::string, std::vector<std::string>> flags = {};  // by option name
  std::map<std::string, std::string> environment = {};         // all of it
  std::optional<ConfigFile> file = std::nullopt;
};

struct LoadedConfig {
  Config config;
  std::vector<std::string> warnings;
};

// The file to read, by flag (`--config`) or variable (STELE_CONFIG).
std::optional<std::string> config_file_path(const std::optional<std::string>& flag,
                                            const std::map<std::string, std::string>& environment);

// kInvalidArgument: what is wrong, where it stands, and what would be right; one line.
Result<LoadedConfig> load_config(const ConfigInputs& inputs);
// Likewise, of settings that only make sense together.
Result<void> check_together(const Config& config);

}  // namespace stele::server
