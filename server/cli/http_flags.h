// What all commands share that ask a node through its HTTP interface (docs/formats/http-api.md).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "protocols/http/client.h"
#include "runtime/runtime.h"
#include "runtime/stop.h"
#include "runtime/task.h"
#include "server/cli/cli.h"
#include "server/cli/tls_flags.h"

namespace stele::server::cli {

using Json = nlohmann::ordered_json;

struct HttpFlags {
  std::string at = "127.0.0.1:8080";
  std::string user;
  std::string password_file;
  TlsFlags tls;
  bool json = false;
  const std::map<std::string, std::string>* environment = nullptr;
  runtime::StopToken stop = {};  // once it runs: SIGINT or SIGTERM, for what waits
};
void add_http_flags(CLI::App& command, HttpFlags& flags);

// A subcommand of `group` with the flags above that does `run` when it is chosen.
CLI::App* add_http_command(CLI::App& group, Chosen& chosen, HttpFlags& flags, const char* name,
                           const char* help, std::function<runtime::Task<int>(runtime::Runtime&)> run);
// Arguments, of all commands of the group, has an HttpFlags `http`.
template <class Arguments>
CLI::App* add(CLI::App* group, Chosen& chosen, const std::shared_ptr<Arguments>& given, const char* name,
              const char* help, runtime::Task<int> (*run)(runtime::Runtime&, std::shared_ptr<Arguments>)) {
  return add_http_command(*group, chosen, given->http, name, help,
                          [given, run](runtime::Runtime& runtime) { return run(runtime, given); });
}

struct HttpAnswer {
  std::string text;  // as it came
  Json json;
};
// The body of a 2xx response; anything else is an error that says what the node said.
runtime::Task<Result<HttpAnswer>> ask(runtime::Runtime& runtime, const HttpFlags& flags, std::string method,
                                      std::string target, Json body = nullptr);
// Prints what `show` makes of it, or what came if `--json`, and gives the exit status.
int finish(const Result<HttpAnswer>& answer, bool json, const std::function<std::string(const Json&)>& show);

}  // namespace stele::server::cli
