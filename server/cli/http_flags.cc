#include "server/cli/http_flags.h"

#include <utility>

#include "base/base64.h"
#include "server/cli/one_core.h"
#include "server/console.h"
#include "server/password.h"

namespace stele::server::cli {

using runtime::Task;

void add_http_flags(CLI::App& command, HttpFlags& flags) {
  command.add_option("--http", flags.at, "the node's HTTP address")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  command.add_option("-u,--user", flags.user, "who asks (default: STELE_USER in the environment, or nobody)");
  command
      .add_option("--password-file", flags.password_file,
                  "its first line is the password (default: STELE_PASSWORD in the environment)")
      ->type_name("FILE");
  add_tls_flags(command, flags.tls);
  command.add_flag("--json", flags.json, "print what the node answers");
}

CLI::App* add_http_command(CLI::App& group, Chosen& chosen, HttpFlags& flags, const char* name,
                           const char* help, std::function<Task<int>(runtime::Runtime&)> run) {
  CLI::App* command = group.add_subcommand(name, help);
  add_http_flags(*command, flags);
  // What `flags` is part of lives in `run`.
  command->callback([&chosen, &flags, run = std::move(run)] {
    chosen.run = [run, &flags] {
      return run_on_one_core([run, &flags](runtime::Runtime& runtime, const runtime::StopToken& stop) {
        flags.stop = stop;
        return run(runtime);
      });
    };
  });
  return command;
}

namespace {

Result<std::string> authorization(const HttpFlags& flags) {
  static const std::map<std::string, std::string> kNothing;
  const auto& environment = flags.environment ? *flags.environment : kNothing;
  std::string user = flags.user;
  if (const auto found = environment.find("STELE_USER"); user.empty() && found != environment.end()) {
    user = found->second;
  }
  if (user.empty()) return std::string();
  STELE_TRY(const auto password, find_password(flags.password_file, environment, "STELE_PASSWORD"));
  if (!password) {
    return error(ErrorCode::kInvalidArgument,
                 "there is no password for '" + user + "': use --password-file or set STELE_PASSWORD");
  }
  return "Basic " + base64_encode(user + ":" + *password);
}

}  // namespace

Task<Result<HttpAnswer>> ask(runtime::Runtime& runtime, const HttpFlags& flags, std::string method,
                             std::string target, Json body) {
  const std::string at = flags.at;
  STELE_CO_TRY(const auto endpoint, runtime::parse_endpoint(at));
  STELE_CO_TRY(runtime::Dial dial, read(flags.tls));
  STELE_CO_TRY(const std::string credentials, authorization(flags));
  http::Request request{.method = std::move(method), .target = std::move(target)};
  if (!credentials.empty()) request.headers.add("authorization", credentials);
  if (!body.is_null()) request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  auto response = co_await http::send_request(runtime, endpoint, std::move(request), {}, std::move(dial));
  if (!response) {
    Error why = response.error();
    if (why.code == ErrorCode::kRefused) {
      why.message = "nobody answers at " + at + ": is the node running, and is this its --http address?";
    }
    co_return std::unexpected(std::move(why));
  }
  Json answer = Json::parse(response->body, nullptr, false);
  if (response->status / 100 == 2) {
    if (answer.is_discarded() && !response->body.empty()) {
      co_return error(ErrorCode::kMalformed, at + " does not answer as a Stele node does");
    }
    co_return HttpAnswer{std::move(response->body), std::move(answer)};
  }
  std::string said = "status " + std::to_string(response->status);
  if (answer.is_object() && answer.contains("error") && answer["error"].is_object()) {
    said = answer["error"].value("message", said);
  }
  if (response->status == 401 && credentials.empty()) said += " (--user)";
  co_return error(ErrorCode::kInternal, std::move(said));
}

int finish(const Result<HttpAnswer>& answer, bool json, const std::function<std::string(const Json&)>& show) {
  if (!answer) {
    complain(answer.error().message);
    return answer.error().code == ErrorCode::kInvalidArgument ? kWrongUse : kFailed;
  }
  if (json) return print(answer->text) ? kDone : kFailed;
  try {
    return print(show(answer->json)) ? kDone : kFailed;
  } catch (const nlohmann::json::exception&) {
    complain("the node answers with fields that this command does not understand: " + answer->text);
    return kFailed;
  }
}

}  // namespace stele::server::cli
