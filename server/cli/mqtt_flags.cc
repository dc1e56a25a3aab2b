#include "server/cli/mqtt_flags.h"

#include "server/password.h"

namespace stele::server::cli {

void add_mqtt_flags(CLI::App& command, MqttFlags& flags) {
  command.add_option("--mqtt", flags.at, "where the broker listens for MQTT")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  command.add_option("-V,--protocol-version", flags.version, "of MQTT: 5, or 4 (3.1.1), or 3 (3.1)")
      ->check(CLI::IsMember({"3", "4", "5"}))
      ->capture_default_str();
  command.add_option("-i,--id", flags.client_id, "client id (default: the broker chooses)");
  command.add_option("-u,--user,--username", flags.user_name, "user name");
  command.add_option("-P,--pw,--password", flags.password,
                     "password, for all to see that see the processes of this machine");
  command
      .add_option("--password-file", flags.password_file,
                  "its first line is the password (default: STELE_PASSWORD in the environment)")
      ->type_name("FILE");
  add_tls_flags(command, flags.tls);
  command.add_option("-k,--keepalive", flags.keep_alive_s, "seconds between signs of life; 0: none")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
}

Result<MqttTarget> read(const MqttFlags& flags) {
  MqttTarget target;
  STELE_TRY(target.at, runtime::parse_endpoint(flags.at));
  STELE_TRY(target.options.dial, read(flags.tls));
  target.options.version = static_cast<mqtt::Version>(flags.version.front() - '0');
  target.options.client_id = flags.client_id;
  target.options.keep_alive_s = static_cast<std::uint16_t>(flags.keep_alive_s);
  static const std::map<std::string, std::string> kNothing;
  const auto& environment = flags.environment ? *flags.environment : kNothing;
  std::string user = flags.user_name;
  if (const auto found = environment.find("STELE_USER"); user.empty() && found != environment.end()) {
    user = found->second;
  }
  if (!user.empty()) {
    target.options.user_name = user;
    STELE_TRY(target.options.password, find_password(flags.password_file, environment, "STELE_PASSWORD"));
  }
  if (!flags.password.empty()) target.options.password = flags.password;
  return target;
}

mqtt::Qos qos_of(int number) {
  return static_cast<mqtt::Qos>(number);
}

}  // namespace stele::server::cli
