// The command line: each command adds itself to the application and, when it was chosen, leaves what is to be
// run in Chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace stele::server::cli {

// Exit statuses of all commands.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUse = 2;

struct Chosen {
  std::function<int()> run;
};

// `environment` is handed on to those that read it.
void add_serve(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment);
void add_topic(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment);
void add_user(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment);
void add_acl(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment);
void add_tenant(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment);
void add_cluster(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment);
void add_pub(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment);
void add_sub(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment);
void add_bench(CLI::App& app, Chosen& chosen);
void add_verify(CLI::App& app, Chosen& chosen);
void add_version(CLI::App& app, Chosen& chosen, std::string_view commit);

// Parses and runs. What is printed goes to standard output and standard error. `commit`: what the program was
// built from.
int run(int argc, const char* const* argv, const std::map<std::string, std::string>& environment,
        std::string_view commit = {});

}  // namespace stele::server::cli
