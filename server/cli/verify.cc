// stele verify: checks a data directory that no process uses.
#include "server/verify.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "server/cli/cli.h"
#include "server/cli/one_core.h"
#include "server/console.h"

namespace stele::server::cli {
namespace {

struct VerifyArguments {
  std::string directory;
  bool json = false;
};

runtime::Task<int> verify(runtime::Runtime& runtime, std::shared_ptr<VerifyArguments> given) {
  const auto outcome = co_await verify_directory(runtime, given->directory);
  if (!outcome) {
    complain(outcome.error().message);
    co_return kFailed;
  }
  const bool sound = outcome->damage.empty();
  std::string out;
  if (given->json) {
    const nlohmann::ordered_json body = {{"sound", sound},
                                         {"damage", outcome->damage},
                                         {"remarks", outcome->remarks},
                                         {"summary", outcome->summary}};
    out = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  } else {
    for (const std::string& line : outcome->summary) out += printable(line) + "\n";
    for (const std::string& line : outcome->remarks) out += "remark: " + printable(line) + "\n";
    if (sound) out += "no damage\n";
  }
  const bool printed = print(out);
  if (!given->json) {
    for (const std::string& line : outcome->damage) complain("damage: " + line);
  }
  co_return sound&& printed ? kDone : kFailed;
}

}  // namespace

void add_verify(CLI::App& app, Chosen& chosen) {
  auto given = std::make_shared<VerifyArguments>();
  CLI::App* command = app.add_subcommand("verify", "Checks a data directory that no process uses");
  command->add_option("dir", given->directory, "the data directory")->required();
  command->add_flag("--json", given->json, "print the findings as JSON");
  command->callback([&chosen, given] {
    chosen.run = [given] {
      return run_on_one_core(
          [given](runtime::Runtime& runtime, const runtime::StopToken&) { return verify(runtime, given); });
    };
  });
}

}  // namespace stele::server::cli
