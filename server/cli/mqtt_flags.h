// Flags that all MQTT commands share.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "protocols/mqtt/client.h"
#include "runtime/network.h"
#include "server/cli/cli.h"
#include "server/cli/tls_flags.h"

namespace stele::server::cli {

struct MqttFlags {
  std::string at = "127.0.0.1:1883";
  std::string version = "5";
  std::string client_id;
  std::string user_name;
  std::string password;
  std::string password_file;
  TlsFlags tls;
  int keep_alive_s = 60;
  const std::map<std::string, std::string>* environment = nullptr;
};

void add_mqtt_flags(CLI::App& command, MqttFlags& flags);

struct MqttTarget {
  runtime::Endpoint at;
  mqtt::ClientOptions options;
};
Result<MqttTarget> read(const MqttFlags& flags);

mqtt::Qos qos_of(int number);  // 0 to 2

}  // namespace stele::server::cli
