// What the command line says when it is called wrongly; nothing here reaches a network or a disk.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/cli/cli.h"
#include "server/version.h"

namespace stele::server::cli {
namespace {

struct Said {
  int status;
  std::string out, err;
};

Said call(std::vector<const char*> words, std::map<std::string, std::string> environment = {}) {
  words.insert(words.begin(), "stele");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int status = run(static_cast<int>(words.size()), words.data(), environment);
  return {status, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

void refuses(std::vector<const char*> words, std::vector<const char*> parts,
             std::map<std::string, std::string> environment = {}) {
  const Said said = call(std::move(words), std::move(environment));
  EXPECT_EQ(said.status, kWrongUse);
  EXPECT_EQ(said.out, "");
  EXPECT_EQ(std::count(said.err.begin(), said.err.end(), '\n'), 1) << said.err;
  for (const char* part : parts)
    EXPECT_NE(said.err.find(part), std::string::npos) << part << " in " << said.err;
}

TEST(CommandLine, HelpGoesToStandardOutput) {
  for (const auto& words : std::vector<std::vector<const char*>>{{"--help"},
                                                                 {"serve", "--help"},
                                                                 {"topic", "create", "-h"},
                                                                 {"cluster", "add-meta", "--help"},
                                                                 {"bench", "kafka", "produce", "--help"}}) {
    const Said said = call(words);
    EXPECT_EQ(said.status, kDone);
    EXPECT_EQ(said.err, "");
    EXPECT_NE(said.out.find("--help"), std::string::npos);
  }
  EXPECT_NE(call({"--help"}).out.find("serve"), std::string::npos);
  EXPECT_NE(call({"serve", "--help"}).out.find("--session-queue-bytes"), std::string::npos);
}

TEST(CommandLine, AMisspeltWordIsToldTheNearest) {
  refuses({"serv"}, {"'serv'", "'serve'"});
  refuses({"serve", "--durabilty", "fsync"}, {"--durabilty", "--durability"});
  refuses({"topic", "lst"}, {"'lst'", "'list'"});
  refuses({"cluster", "node"}, {"'node'", "'nodes'"});
  refuses({"cluster", "addmeta", "3"}, {"'addmeta'", "'add-meta'"});
  refuses({"topic", "create", "x", "--partitons=3"}, {"'--partitons'", "'--partitions'"});
}

TEST(CommandLine, WhatIsMissingIsSaid) {
  refuses({}, {"subcommand", "stele --help"});
  refuses({"topic"}, {"stele topic --help"});
  refuses({"topic", "create"}, {"name"});
  refuses({"cluster"}, {"stele cluster --help"});
  refuses({"cluster", "drain"}, {"node"});
  refuses({"pub"}, {"topic"});
  refuses({"sub"}, {"--topic"});
}

TEST(CommandLine, WrongValues) {
  refuses({"serve", "--cores", "-3"}, {"--cores", "'-3'"});
  refuses({"serve", "--cores", "1", "--cores", "2"}, {"--cores"});
  refuses({"serve", "--kafka", "0.0.0.0:1"}, {"--kafka", "0.0.0.0", "loopback"});
  refuses({"serve", "--config", "/nowhere/stele.toml"}, {"/nowhere/stele.toml"});
  refuses({"serve"}, {"STELE_DURABILITY", "'sometimes'"}, {{"STELE_DURABILITY", "sometimes"}});
  refuses({"pub", "a", "b", "-q", "3"}, {"qos"});
  refuses({"sub", "a", "-V", "6"}, {"protocol-version"});
  refuses({"bench", "mqtt", "--mode", "sideways"}, {"--mode", "fanout"});
  refuses({"bench", "kafka", "consume", "--rate", "5"}, {"--rate"});
  refuses({"topic", "create", "x", "--config", "retention.ms"}, {"--config", "NAME=VALUE"});
  for (const char* command : {"drain", "undrain", "remove", "add-meta"}) {
    for (const char* node : {"0", "-1", "n1"}) refuses({"cluster", command, node}, {"node"});
  }
  refuses({"cluster", "drain", "2", "--wait", "-5"}, {"--wait"});
}

TEST(CommandLine, Version) {
  const Said said = call({"version"});
  EXPECT_EQ(said.status, kDone);
  EXPECT_EQ(said.out.substr(0, 6), "stele ");
  EXPECT_EQ(said.out.find("commit"), std::string::npos);
  EXPECT_NE(version_line("0123456789ab").find(", commit 0123456789ab)"), std::string::npos);
}

}  // namespace
}  // namespace stele::server::cli
