#include "server/config.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "server/config_values.h"

namespace stele::server {
namespace {

using Flags = std::map<std::string, std::vector<std::string>>;

Config load(const ConfigInputs& inputs) {
  const auto loaded = load_config(inputs);
  EXPECT_TRUE(loaded) << loaded.error().message;
  return loaded ? loaded->config : Config();
}
std::string refusal(const ConfigInputs& inputs) {
  const auto loaded = load_config(inputs);
  EXPECT_FALSE(loaded) << "was accepted";
  if (loaded) return {};
  EXPECT_EQ(loaded.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(loaded.error().message.find('\n'), std::string::npos) << "one line";
  return loaded.error().message;
}
std::string refused_file(std::string text) {
  return refusal({.file = ConfigFile{"dir/stele.toml", std::move(text)}});
}
bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

TEST(Config, DefaultsServeEverythingOnLoopback) {
  const Config config = load({});
  EXPECT_EQ(config.mqtt, (std::vector<runtime::Endpoint>{{"127.0.0.1", 1883}}));
  EXPECT_EQ(config.kafka, (std::vector<runtime::Endpoint>{{"127.0.0.1", 9092}}));
  EXPECT_EQ(config.http, (std::vector<runtime::Endpoint>{{"127.0.0.1", 8080}}));
  EXPECT_EQ(config.durability, storage::Durability::kFsync);
}

TEST(Config, FlagBeforeEnvironmentBeforeFile) {
  const ConfigFile file{"f", "cores = 1\nshards = 1\ndata = 'f'\n"};
  const Config config = load({.flags = {{"cores", {"3"}}},
                              .environment = {{"STELE_CORES", "2"}, {"STELE_SHARDS", "2"}, {"PATH", "/bin"}},
                              .file = file});
  EXPECT_EQ(config.cores, 3u);
  EXPECT_EQ(config.shards, 2u);
  EXPECT_EQ(config.data, "f");
}

// A list replaces what came before it; it does not add to it.
TEST(Config, Listeners) {
  const ConfigFile file{"f", "mqtt = ['127.0.0.1:0', '[::1]:5']\nkafka = 'off'\n"};
  Config config = load({.file = file});
  EXPECT_EQ(config.mqtt, (std::vector<runtime::Endpoint>{{"127.0.0.1", 0}, {"::1", 5}}));
  EXPECT_TRUE(config.kafka.empty());
  config = load({.flags = {{"mqtt", {"localhost:7"}}},
                 .environment = {{"STELE_KAFKA", "127.0.0.1:1,127.0.0.2:2"}},
                 .file = file});
  EXPECT_EQ(config.mqtt, (std::vector<runtime::Endpoint>{{"localhost", 7}}));
  EXPECT_EQ(config.kafka, (std::vector<runtime::Endpoint>{{"127.0.0.1", 1}, {"127.0.0.2", 2}}));
  EXPECT_TRUE(has(refusal({.flags = {{"mqtt", {"off", "127.0.0.1:0"}}}}), "'off' stands alone"));
  EXPECT_TRUE(has(refusal({.flags = {{"mqtt", {"127.0.0.1:5", "127.0.0.1:5"}}}}), "twice"));
  EXPECT_TRUE(has(refusal({.flags = {{"kafka", {"127.0.0.1"}}}}), "--kafka: '127.0.0.1' is not HOST:PORT"));
}

TEST(Config, OnlyLoopbackIsListenedOn) {
  for (const char* host : {"0.0.0.0", "192.168.1.5", "nowhere.invalid", "[::]", "128.0.0.1",
                           "127.0.0.1.evil.example", "1270.0.0.1"}) {
    const std::string said = refusal({.flags = {{"http", {std::string(host) + ":0"}}}});
    EXPECT_TRUE(has(said, host) && has(said, "loopback")) << said;
  }
  for (const char* host : {"127.0.0.1", "127.255.0.9", "[::1]", "localhost"}) {
    load({.flags = {{"http", {std::string(host) + ":0"}}}});
  }
  load({.flags = {{"advertise-kafka", {"broker.example:9092"}}}});
}

TEST(Config, AnUnknownKeyIsToldTheNearest) {
  std::string said = refused_file("\n\ndurabilty = 'fsync'\n");
  EXPECT_TRUE(has(said, "dir/stele.toml:3")) << said;
  EXPECT_TRUE(has(said, "'durabilty'") && has(said, "'durability'")) << said;
  EXPECT_TRUE(has(refused_file("kafak = 'off'\n"), "'kafka'"));
  EXPECT_TRUE(has(refused_file("auto_create_topics = true\n"), "'auto-create-topics'"));
  said = refused_file("colour = 'red'\n");
  EXPECT_FALSE(has(said, "did you mean")) << said;
}

TEST(Config, AnUnknownVariableIsAWarning) {
  const auto loaded = load_config({.environment = {{"STELE_CORE", "2"}, {"STELE_HOME", "/"}}});
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->warnings.size(), 2u);
  EXPECT_TRUE(has(loaded->warnings[0], "STELE_CORES")) << loaded->warnings[0];
}

TEST(Config, AWrongValueSaysWhereAndWhatIsRight) {
  EXPECT_TRUE(has(refused_file("cores = 'many'\n"),
                  "dir/stele.toml:1: cores: 'many' is not a whole number from 1 to 256"));
  EXPECT_TRUE(has(refused_file("durability = 'sometimes'\n"), "'sometimes' is none of fsync, flush, memory"));
  EXPECT_TRUE(has(refused_file("cores = [1, 2]\n"), "one value"));
  EXPECT_TRUE(has(refused_file("cores = 1.5\n"), "whole number"));
  EXPECT_TRUE(has(refused_file("[mqtt]\nport = 5\n"), "no sections"));
  EXPECT_TRUE(has(refused_file("mqtt = []\n"), "mqtt"));
  EXPECT_TRUE(has(refusal({.flags = {{"cores", {"0"}}}}), "--cores: '0'"));
  EXPECT_TRUE(
      has(refusal({.environment = {{"STELE_SHARDS", "-3"}}}), "STELE_SHARDS in the environment: '-3'"));
  EXPECT_TRUE(has(refusal({.flags = {{"segment-bytes", {"1KiB"}}}}), "from 1MiB to 1TiB"));
  EXPECT_TRUE(has(refusal({.flags = {{"data", {""}}}}), "--data"));
}

TEST(Config, AFileThatIsNotToml) {
  EXPECT_TRUE(has(refused_file("shards = 1\ncores = \n"), "dir/stele.toml:2"));
  refused_file("a = 1\na = 2\n");
  refused_file(std::string("\xff\x00\x01", 3));
}

RC_GTEST_PROP(Config, AnyFileIsReadOrRefused, ()) {
  const auto noise = *rc::gen::container<std::string>(
      rc::gen::oneOf(rc::gen::arbitrary<char>(), rc::gen::elementOf(std::string("[]='\"\n.#coresmqtt018"))));
  const auto loaded = load_config({.file = ConfigFile{"f", noise}});
  RC_ASSERT(loaded.has_value() || loaded.error().code == ErrorCode::kInvalidArgument);
}

// A password is in the environment or in a file, and nothing shows it.
TEST(Config, TheAdministratorsPasswordIsNoOption) {
  const ConfigInputs inputs{
      .environment = {{"STELE_ADMIN_PASSWORD", "x"}, {"STELE_PASSWORD", "y"}, {"STELE_USER", "z"}}};
  const auto loaded = load_config(inputs);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.admin_password, "x");
  EXPECT_TRUE(loaded->warnings.empty());
  for (const Option& option : options()) EXPECT_NE(option.show(loaded->config), "x");
}

TEST(Config, OtherMachinesReachItWithTlsOnly) {
  EXPECT_FALSE(load_config({.flags = {{"mqtt", {"0.0.0.0:1883"}}}}));
  const Config there = load({.flags = {{"mqtt-tls", {"0.0.0.0:8883"}}}});
  EXPECT_TRUE(there.open_to_others());
  EXPECT_FALSE(
      load({.flags = {{"mqtt-tls", {"127.0.0.1:8883"}}, {"kafka-tls", {"[::1]:9093"}}}}).open_to_others());
  EXPECT_FALSE(Config().open_to_others());
}

TEST(Config, WhatOfTlsBelongsTogether) {
  const auto whole = [](std::map<std::string, std::vector<std::string>> flags) {
    const auto checked = check_together(load({.flags = std::move(flags)}));
    return checked ? std::string("whole") : checked.error().message;
  };
  EXPECT_EQ(whole({}), "whole");
  EXPECT_EQ(whole({{"http-tls", {"[::]:1"}}, {"tls-certificate", {"a"}}, {"tls-key", {"b"}}}), "whole");
  EXPECT_TRUE(has(whole({{"http-tls", {"[::]:1"}}}), "no --tls-certificate"));
  EXPECT_TRUE(has(whole({{"tls-certificate", {"a"}}, {"tls-key", {"b"}}}), "no listener with TLS"));
  EXPECT_TRUE(has(whole({{"tls-key", {"b"}}}), "one is missing"));
  EXPECT_TRUE(has(whole({{"http-tls", {"[::]:1"}},
                         {"tls-certificate", {"a"}},
                         {"tls-key", {"b"}},
                         {"tls-clients", {"required"}}}),
                  "--tls-client-ca"));
  EXPECT_TRUE(has(whole({{"advertise-kafka-tls", {"a:1"}}}), "--kafka-tls"));
}

TEST(Config, Origins) {
  const auto given = [](std::vector<std::string> values) {
    return load({.flags = {{"websocket-origin", std::move(values)}}}).websocket_origins;
  };
  EXPECT_EQ(given({"HTTPS://App.example:8443", "http://[::1]:3000", "*"}),
            (std::vector<std::string>{"https://app.example:8443", "http://[::1]:3000", "*"}));
  for (const char* bad : {"", "app.example", "https://", "://app.example", "https://app.example/",
                          "https://*.example", "https://app example"}) {
    EXPECT_TRUE(has(refusal({.flags = {{"websocket-origin", {bad}}}}), "is no origin")) << bad;
  }
  EXPECT_TRUE(load({}).mqtt_websocket);
}

TEST(Config, ANodeOfACluster) {
  const auto refused = [](std::map<std::string, std::vector<std::string>> flags) {
    const auto loaded = load_config({.flags = std::move(flags)});
    if (!loaded) return loaded.error().message;
    const auto whole = check_together(loaded->config);
    return whole ? std::string() : whole.error().message;
  };
  EXPECT_EQ(refused({{"rpc", {"127.0.0.1:7000"}}}), "");
  EXPECT_EQ(refused({{"rpc", {"127.0.0.1:7000"}},
                     {"node-id", {"2"}},
                     {"join", {"127.0.0.1:7001", "127.0.0.1:7002"}},
                     {"roles", {"journal,broker"}},
                     {"zone", {"a"}}}),
            "");
  EXPECT_TRUE(has(refused({{"rpc", {"127.0.0.1:7000"}}, {"roles", {"meta"}}, {"mqtt-tls", {"127.0.0.1:1"}}}),
                  "nodes with the role broker"));
  EXPECT_TRUE(has(refused({{"rpc", {"127.0.0.1:7000"}}, {"roles", {"meta"}}, {"http-tls", {"127.0.0.1:1"}}}),
                  "no --tls-certificate"))
      << "HTTP is for every node";
  EXPECT_TRUE(has(refused({{"join", {"h:1"}}}), "--join is for a node of a cluster"));
  EXPECT_TRUE(has(refused({{"roles", {"meta"}}}), "there is no --rpc"));
  EXPECT_TRUE(has(refused({{"rpc", {"127.0.0.1:7000"}}, {"roles", {"meta,king"}}}), "'king' is none of"));
  EXPECT_TRUE(has(refused({{"rpc", {"127.0.0.1:0"}}}), "not 0"));
  EXPECT_TRUE(has(refused({{"rpc", {"10.0.0.1:7000"}}}), "need certificates"));
  EXPECT_EQ(refused({{"rpc", {"10.0.0.1:7000"}}, {"rpc-without-tls", {"true"}}}), "");
  const std::vector<std::string> file = {"f"};
  EXPECT_EQ(
      refused({{"rpc", {"10.0.0.1:7000"}}, {"rpc-certificate", file}, {"rpc-key", file}, {"rpc-ca", file}}),
      "");
  EXPECT_TRUE(has(refused({{"rpc", {"10.0.0.1:7000"}}, {"rpc-certificate", file}, {"rpc-key", file}}),
                  "one is missing"));
  EXPECT_TRUE(has(refused({{"rpc", {"0.0.0.0:7000"}}, {"rpc-without-tls", {"yes"}}}), "--rpc-advertise"));
  EXPECT_EQ(refused({{"rpc", {"0.0.0.0:7000"}}, {"rpc-without-tls", {"yes"}}, {"rpc-advertise", {"h:7000"}}}),
            "");
}

// What a configuration shows is what gives it again, from each source.
RC_GTEST_PROP(Config, WhatIsShownReadsBack, ()) {
  const Option& option = options()[*rc::gen::inRange<std::size_t>(0, options().size())];
  Config config;
  config.shards = *rc::gen::inRange<std::uint32_t>(1, 4097);
  config.segment_bytes = *rc::gen::inRange<std::uint64_t>(1 << 20, 1ULL << 40);
  config.cores = *rc::gen::inRange<std::uint32_t>(1, 257);
  config.auto_create_topics = *rc::gen::arbitrary<bool>();
  config.mqtt = {{"127.0.0.1", *rc::gen::arbitrary<std::uint16_t>()}};
  config.log_level = static_cast<runtime::LogLevel>(*rc::gen::inRange(0, 6));
  config.durability = static_cast<storage::Durability>(*rc::gen::inRange(0, 3));
  config.advertise_kafka = {"broker.example", 9};
  config.admin_user = "root";
  config.admin_password_file = "secret";
  config.advertise_kafka_tls = {"broker.example", 10};
  config.tls_certificate = config.tls_key = config.tls_client_ca = "file.pem";
  config.tls_clients = static_cast<runtime::tls::ClientCertificate>(*rc::gen::inRange(0, 3));
  config.mqtt_websocket = *rc::gen::arbitrary<bool>();
  config.websocket_origins = {"https://app.example"};
  config.rpc = {"10.0.0.1", 7000};
  config.rpc_advertise = {"node.example", 7000};
  config.roles = *rc::gen::inRange<std::uint32_t>(1, 8);
  config.node_id = *rc::gen::inRange<std::uint32_t>(1, 1000);
  config.join = {{"a.example", 7000}};
  config.zone = "z";
  config.rpc_certificate = config.rpc_key = config.rpc_ca = "file.pem";
  config.rpc_without_tls = *rc::gen::arbitrary<bool>();
  const std::string shown = option.show(config);
  RC_ASSERT(!shown.empty());
  RC_ASSERT(option.show(load({.flags = {{option.name, {shown}}}})) == shown);
  RC_ASSERT(option.show(load({.environment = {{option.variable(), shown}}})) == shown);
  RC_ASSERT(option.show(load({.file = ConfigFile{"f", option.name + " = '" + shown + "'\n"}})) == shown);
}

// The table of docs/operating.md is this one: print it with the failure, and paste it there.
TEST(Config, IsDocumented) {
  std::ifstream file("docs/operating.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  ASSERT_FALSE(page.empty());
  EXPECT_TRUE(has(page, "\n" + options_table() + "\n")) << options_table();
}

RC_GTEST_PROP(ConfigValues, SizesReadBack, ()) {
  const auto size = *rc::gen::arbitrary<std::uint64_t>();
  RC_ASSERT(parse_bytes(show_bytes(size), 0, UINT64_MAX).value() == size);
}

TEST(ConfigValues, Sizes) {
  EXPECT_EQ(parse_bytes("1MiB", 0, UINT64_MAX), 1u << 20);
  EXPECT_EQ(parse_bytes("2 kB", 0, UINT64_MAX), 2000u);
  for (const char* bad : {"", "MiB", "1.5MiB", "1mib", "-1", "1 M", "99999999999TiB"}) {
    EXPECT_FALSE(parse_bytes(bad, 0, UINT64_MAX)) << bad;
  }
}

RC_GTEST_PROP(Config, ASlipIsToldTheRightName, ()) {
  const auto names = option_names();
  std::string slip = *rc::gen::elementOf(names);
  RC_PRE(slip.size() >= 4);
  slip.erase(*rc::gen::inRange<std::size_t>(0, slip.size()), 1);
  RC_ASSERT(has(did_you_mean(slip, names), "did you mean"));
}

}  // namespace
}  // namespace stele::server
