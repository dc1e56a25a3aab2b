// stele cluster: shows a cluster and its nodes, and looks after them, through the HTTP interface of one of
// them (docs/formats/http-api.md).
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "server/cli/cli.h"
#include "server/cli/http_flags.h"
#include "server/cli/table.h"
#include "server/console.h"

namespace stele::server::cli {
namespace {

using runtime::Task;
using namespace std::chrono_literals;

struct ClusterArguments {
  HttpFlags http;
  std::uint32_t node = 0;
  std::uint32_t wait_s = 60;
  bool problems = false, for_good = false;
};

constexpr runtime::Duration kLook = 500ms;  // between two looks at what is waited for

// ---- showing ---------------------------------------------------------------------------------------------

std::string join(const Json& list, const char* between) {
  std::string out;
  for (const auto& one : list) {
    out += (out.empty() ? "" : between) + (one.is_string() ? one.get<std::string>() : one.dump());
  }
  return out.empty() ? "-" : out;
}

std::string show_number(const Json& number) {
  return number.is_null() ? "-" : number.dump();
}

std::string show_status(const Json& body) {
  const Json& meta = body.at("meta");
  const Json& nodes = body.at("nodes");
  const Json& shards = body.at("shards");
  const Json& segments = body.at("segments");
  std::string out;
  const auto line = [&out](const char* name, const std::string& value) {
    out += std::string(name) + std::string(10 - std::string_view(name).size(), ' ') + printable(value) + "\n";
  };
  line("cluster", body.at("cluster").get<std::string>());
  line("told by", "node " + body.at("node").dump() +
                      (body.at("lease").get<bool>() ? "" : ", which holds no lease: it may be behind"));
  line("leader", (meta.at("leader").is_null() ? "nobody" : "node " + meta.at("leader").dump()) + ", term " +
                     meta.at("term").dump());
  line("voters", join(meta.at("voters"), " "));
  if (!meta.at("voters_outgoing").empty()) line("outgoing", join(meta.at("voters_outgoing"), " "));
  line("learners", join(meta.at("learners"), " "));
  line("nodes", nodes.at("all").dump() + ": " + nodes.at("live").dump() + " live, " +
                    nodes.at("draining").dump() + " draining");
  std::string versions;
  for (const auto& [version, count] : body.at("versions").items()) {
    versions += (versions.empty() ? "" : ", ") + version + " (" + count.dump() + ")";
  }
  line("versions", versions);
  line("shards", shards.at("all").dump() + ": " + shards.at("leaderless").dump() + " leaderless, " +
                     shards.at("moving").dump() + " moving");
  line("segments", segments.at("all").dump() + ": " + segments.at("under_replicated").dump() +
                       " under-replicated, " + segments.at("without_quorum").dump() + " without quorum, " +
                       segments.at("unreadable").dump() + " unreadable");
  return out;
}

std::string show_nodes(const Json& body) {
  Table table({"NODE", "STATE", "ROLES", "META", "ZONE", "SHARDS", "REPLICAS", "VERSION", "ADDRESS"});
  for (const auto& node : body.at("nodes")) {
    const auto zone = node.at("zone").get<std::string>();
    table.add({node.at("node").dump(),
               node.at("state").get<std::string>() + (node.at("leaving").get<bool>()    ? ",leaving"
                                                      : node.at("draining").get<bool>() ? ",draining"
                                                                                        : ""),
               join(node.at("roles"), ","), node.at("meta").get<std::string>(), zone.empty() ? "-" : zone,
               node.at("shards").dump(), node.at("replicas").dump(), node.at("version").get<std::string>(),
               node.at("addresses").value("rpc", "-")});
  }
  return table.text();
}

bool is_problem(const Json& shard) {
  const Json& segments = shard.at("segments");
  return shard.at("state") != "served" || segments.at("under_replicated") != 0 ||
         segments.at("without_quorum") != 0 || segments.at("unreadable") != 0;
}

// A replica that is not there is in brackets.
std::string show_replicas(const Json& replicas) {
  std::string out;
  for (const auto& replica : replicas) {
    const std::string node = replica.at("node").dump();
    out += (out.empty() ? "" : " ") + (replica.at("present").get<bool>() ? node : "(" + node + ")");
  }
  return out.empty() ? "-" : out;
}

std::string show_shards(const Json& body, bool problems) {
  Table table({"SHARD", "STATE", "OWNER", "ASSIGNED", "EPOCH", "REPLICAS", "NEEDED", "SEGMENTS",
               "UNDER-REPLICATED", "UNREADABLE"});
  for (const auto& shard : body.at("shards")) {
    if (problems && !is_problem(shard)) continue;
    const Json& segments = shard.at("segments");
    table.add({shard.at("shard").dump(), shard.at("state").get<std::string>(), show_number(shard.at("owner")),
               show_number(shard.at("assigned")), shard.at("epoch").dump(),
               show_replicas(shard.at("replicas")), shard.at("needed").dump(), segments.at("all").dump(),
               segments.at("under_replicated").dump(), segments.at("unreadable").dump()});
  }
  return table.empty() ? "" : table.text();
}

std::string name_of(const ClusterArguments& given) {
  return "node " + std::to_string(given.node);
}

std::string target_of(const ClusterArguments& given, const char* kind) {
  return "/v1/cluster/" + std::string(kind) + "/" + std::to_string(given.node);
}

// Asks again until the answer is `done`, or an error, or time is up: then `late` says what is lacking.
Task<Result<HttpAnswer>> ask_until(runtime::Runtime& runtime, std::shared_ptr<ClusterArguments> given,
                                   std::string method, std::string target,
                                   std::function<bool(const Json&)> done,
                                   std::function<std::string(const Json&)> late) {
  const runtime::Instant until = runtime.now() + std::chrono::seconds(given->wait_s);
  while (true) {
    STELE_CO_TRY(HttpAnswer answer, co_await ask(runtime, given->http, method, target));
    if (done(answer.json) || given->wait_s == 0) co_return answer;
    if (runtime.now() >= until || given->http.stop.stop_requested()) {
      co_return error(ErrorCode::kTimedOut, late(answer.json));
    }
    co_await runtime::sleep(runtime, kLook, given->http.stop);
  }
}

// ---- commands --------------------------------------------------------------------------------------------

Task<int> show_cluster(runtime::Runtime& runtime, std::shared_ptr<ClusterArguments> given) {
  co_return finish(co_await ask(runtime, given->http, "GET", "/v1/cluster"), given->http.json, show_status);
}

Task<int> list_nodes(runtime::Runtime& runtime, std::shared_ptr<ClusterArguments> given) {
  co_return finish(co_await ask(runtime, given->http, "GET", "/v1/cluster/nodes"), given->http.json,
                   show_nodes);
}

Task<int> list_shards(runtime::Runtime& runtime, std::shared_ptr<ClusterArguments> given) {
  const bool problems = given->problems;
  co_return finish(co_await ask(runtime, given->http, "GET", "/v1/cluster/shards"), given->http.json,
                   [problems](const Json& body) { return show_shards(body, problems); });
}

std::uint64_t shards_of(const Json& node) {
  return std::max(node.value("shards", std::uint64_t{0}), node.value("assigned", std::uint64_t{0}));
}

Task<int> drain(runtime::Runtime& runtime, std::shared_ptr<ClusterArguments> given) {
  auto answer = co_await ask(runtime, given->http, "PATCH", target_of(*given, "nodes"),
                             {{"draining", true}, {"leaving", given->for_good}});
  if (answer) {
    answer = co_await ask_until(
        runtime, given, "GET", target_of(*given, "nodes"),
        [&](const Json& node) {
          return shards_of(node) == 0 && (!given->for_good || node.at("replicas").get<std::uint64_t>() == 0);
        },
        [&](const Json& node) {
          return name_of(*given) + " is being drained, and still has " + std::to_string(shards_of(node)) +
                 " shards, and " + node.at("replicas").dump() + " replicas of segments";
        });
  }
  co_return finish(answer, given->http.json, [&](const Json& node) {
    const std::uint64_t shards = shards_of(node);
    return name_of(*given) + (shards == 0
                                  ? " is drained: it owns no shards, and holds " +
                                        node.at("replicas").dump() + " replicas of segments\n"
                                  : " is being drained, and has " + std::to_string(shards) + " shards\n");
  });
}

Task<int> undrain(runtime::Runtime& runtime, std::shared_ptr<ClusterArguments> given) {
  const auto answer =
      co_await ask(runtime, given->http, "PATCH", target_of(*given, "nodes"), {{"draining", false}});
  co_return finish(answer, given->http.json,
                   [&](const Json&) { return name_of(*given) + " may own shards again\n"; });
}

Task<int> remove(runtime::Runtime& runtime, std::shared_ptr<ClusterArguments> given) {
  const auto answer = co_await ask(runtime, given->http, "DELETE", target_of(*given, "nodes"));
  co_return finish(answer, given->http.json,
                   [&](const Json&) { return "removed " + name_of(*given) + "\n"; });
}

Task<int> add_meta(runtime::Runtime& runtime, std::shared_ptr<ClusterArguments> given) {
  const auto lacks = [given](const Json& body) {
    return name_of(*given) + " does not vote yet: " + body.value("waits_for", "");
  };
  const auto answer = co_await ask_until(
      runtime, given, "PUT", target_of(*given, "voters"),
      [](const Json& body) { return body.value("voter", false); }, lacks);
  co_return finish(answer, given->http.json, [&](const Json& body) {
    return body.at("voter").get<bool>() ? name_of(*given) + " votes in the meta service\n"
                                        : lacks(body) + "\n";
  });
}

void add_node(CLI::App* command, const std::shared_ptr<ClusterArguments>& given) {
  command->add_option("node", given->node, "its number")->required()->check(CLI::Range(1U, UINT32_MAX));
}

void add_wait(CLI::App* command, const std::shared_ptr<ClusterArguments>& given, const char* help) {
  command->add_option("--wait", given->wait_s, help)->type_name("SECONDS")->capture_default_str();
}

}  // namespace

void add_cluster(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment) {
  auto given = std::make_shared<ClusterArguments>();
  given->http.environment = &environment;
  CLI::App* cluster = app.add_subcommand("cluster", "Shows a cluster and its nodes, drains and removes them");
  cluster->require_subcommand(1);
  add(cluster, chosen, given, "status", "Tells who leads and votes, and what is amiss", show_cluster);
  add(cluster, chosen, given, "nodes", "Lists all nodes, and what they hold", list_nodes);
  add(cluster, chosen, given, "shards", "Lists all shards, their owners and replicas", list_shards)
      ->add_flag("--problems", given->problems, "only those that are not as they should be");
  CLI::App* draining =
      add(cluster, chosen, given, "drain", "Moves all shards off a node, so that it can be stopped", drain);
  add_node(draining, given);
  draining->add_flag("--for-good", given->for_good,
                     "what lies on it is copied elsewhere as well, so that it can be removed");
  add_wait(draining, given, "so long for all that to be gone; 0: does not wait");
  add_node(add(cluster, chosen, given, "undrain", "Lets a node own shards again", undrain), given);
  add_node(add(cluster, chosen, given, "remove",
               "Takes a node that is stopped, and holds nothing, out of the cluster", remove),
           given);
  CLI::App* adding =
      add(cluster, chosen, given, "add-meta", "Waits until a node with the role meta votes", add_meta);
  add_node(adding, given);
  add_wait(adding, given, "so long; 0: tells whether it does");
}

}  // namespace stele::server::cli
