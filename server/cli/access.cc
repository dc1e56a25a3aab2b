// stele user, stele acl, stele tenant: who may do what, through the HTTP interface of a node.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/cli/cli.h"
#include "server/cli/http_flags.h"
#include "server/cli/table.h"
#include "server/console.h"
#include "server/password.h"

namespace stele::server::cli {
namespace {

using runtime::Task;

struct Arguments {
  HttpFlags http;
  std::string name;
  std::string tenant;
  bool super_user = false;
  bool no_password = false;
  std::string new_password_file;
  std::string token_name;

  std::string user;
  bool everybody = false;
  std::vector<std::string> allow, deny;
  std::string address, topic, topic_prefix, group, group_prefix;
  bool node = false;
  std::string id;
};
using Given = std::shared_ptr<Arguments>;

std::string cell(const Json& value) {
  return value.is_string() ? printable(value.get<std::string>()) : value.is_null() ? "*" : value.dump();
}

std::string join(const Json& list) {
  std::string out;
  for (const auto& one : list) out += (out.empty() ? "" : ",") + cell(one);
  return out;
}

std::string user_path(const Given& given) {
  return "/v1/users/" + http::escape_segment(given->name);
}

// ---- users -----------------------------------------------------------------------------------------------

// The password of the user that is made or changed: null if it is to have none.
Result<Json> new_password(const Given& given) {
  if (given->no_password) return Json(nullptr);
  STELE_TRY(const auto password,
            find_password(given->new_password_file, *given->http.environment, "STELE_NEW_PASSWORD"));
  if (password) return Json(*password);
  return error(
      ErrorCode::kInvalidArgument,
      "there is no new password: use --new-password-file, or set STELE_NEW_PASSWORD, or say --no-password");
}

Task<int> add_one_user(runtime::Runtime& runtime, Given given) {
  const auto password = new_password(given);
  if (!password) {
    complain(password.error().message);
    co_return kWrongUse;
  }
  Json body = {{"name", given->name}, {"password", *password}, {"super_user", given->super_user}};
  if (!given->tenant.empty()) body["tenant"] = given->tenant;
  const auto answer = co_await ask(runtime, given->http, "POST", "/v1/users", std::move(body));
  co_return finish(answer, given->http.json,
                   [](const Json& made) { return "added " + cell(made.at("name")) + "\n"; });
}

Task<int> change_password(runtime::Runtime& runtime, Given given) {
  const auto password = new_password(given);
  if (!password) {
    complain(password.error().message);
    co_return kWrongUse;
  }
  const auto answer =
      co_await ask(runtime, given->http, "PATCH", user_path(given), Json{{"password", *password}});
  co_return finish(answer, given->http.json, [](const Json& user) {
    return "changed the password of " + cell(user.at("name")) + "\n";
  });
}

Task<int> delete_one_user(runtime::Runtime& runtime, Given given) {
  const auto answer = co_await ask(runtime, given->http, "DELETE", user_path(given));
  co_return finish(answer, given->http.json, [&](const Json&) { return "deleted " + given->name + "\n"; });
}

Task<int> list_users(runtime::Runtime& runtime, Given given) {
  const auto answer = co_await ask(runtime, given->http, "GET", "/v1/users");
  co_return finish(answer, given->http.json, [](const Json& body) {
    Table table({"NAME", "TENANT", "SUPER USER", "PASSWORD"});
    for (const auto& user : body.at("users")) {
      table.add({cell(user.at("name")), cell(user.at("tenant")), cell(user.at("super_user")),
                 cell(user.at("password"))});
    }
    return table.empty() ? std::string() : table.text();
  });
}

Task<int> make_token(runtime::Runtime& runtime, Given given) {
  const auto answer = co_await ask(runtime, given->http, "POST", user_path(given) + "/tokens",
                                   Json{{"name", given->token_name}});
  co_return finish(answer, given->http.json,
                   [](const Json& made) { return made.at("token").get<std::string>() + "\n"; });
}

Task<int> drop_token(runtime::Runtime& runtime, Given given) {
  const auto answer = co_await ask(runtime, given->http, "DELETE",
                                   user_path(given) + "/tokens/" + http::escape_segment(given->token_name));
  co_return finish(answer, given->http.json,
                   [&](const Json&) { return "deleted token " + given->token_name + "\n"; });
}

// ---- rules -----------------------------------------------------------------------------------------------

Task<int> add_rule(runtime::Runtime& runtime, Given given) {
  if (given->user.empty() != given->everybody || given->allow.empty() == given->deny.empty()) {
    complain("a rule is for --for USER or --everybody, and either allows (--allow) or denies (--deny)");
    co_return kWrongUse;
  }
  Json body = {{"permission", given->allow.empty() ? "deny" : "allow"},
               {"operations", given->allow.empty() ? given->deny : given->allow}};
  body["user"] = given->everybody ? Json(nullptr) : Json(given->user);
  if (!given->tenant.empty()) body["tenant"] = given->tenant;
  if (!given->address.empty()) body["address"] = given->address;
  if (!given->topic.empty()) body["topic"] = given->topic;
  if (!given->topic_prefix.empty())
    body["topic_prefix"] = given->topic_prefix == "*" ? "" : given->topic_prefix;
  if (!given->group.empty()) body["group"] = given->group;
  if (!given->group_prefix.empty())
    body["group_prefix"] = given->group_prefix == "*" ? "" : given->group_prefix;
  if (given->node) body["node"] = true;
  const auto answer = co_await ask(runtime, given->http, "POST", "/v1/acls", std::move(body));
  co_return finish(answer, given->http.json,
                   [](const Json& made) { return "added rule " + cell(made.at("id")) + "\n"; });
}

Task<int> delete_rule(runtime::Runtime& runtime, Given given) {
  const auto answer =
      co_await ask(runtime, given->http, "DELETE", "/v1/acls/" + http::escape_segment(given->id));
  co_return finish(answer, given->http.json, [&](const Json&) { return "deleted rule " + given->id + "\n"; });
}

Task<int> list_rules(runtime::Runtime& runtime, Given given) {
  const auto answer = co_await ask(runtime, given->http, "GET", "/v1/acls");
  co_return finish(answer, given->http.json, [](const Json& body) {
    Table table({"ID", "TENANT", "USER", "PERMISSION", "OPERATIONS", "ON"});
    for (const auto& rule : body.at("acls")) {
      std::string on = "node";
      for (const char* kind : {"address", "topic", "topic_prefix", "group", "group_prefix"}) {
        if (rule.contains(kind)) on = std::string(kind) + " " + cell(rule.at(kind));
      }
      table.add({cell(rule.at("id")), cell(rule.at("tenant")), cell(rule.at("user")),
                 cell(rule.at("permission")), join(rule.at("operations")), on});
    }
    return table.empty() ? std::string() : table.text();
  });
}

// ---- tenants ---------------------------------------------------------------------------------------------

Task<int> add_one_tenant(runtime::Runtime& runtime, Given given) {
  const auto answer = co_await ask(runtime, given->http, "POST", "/v1/tenants", Json{{"name", given->name}});
  co_return finish(answer, given->http.json,
                   [](const Json& made) { return "added " + cell(made.at("name")) + "\n"; });
}

Task<int> delete_one_tenant(runtime::Runtime& runtime, Given given) {
  const auto answer =
      co_await ask(runtime, given->http, "DELETE", "/v1/tenants/" + http::escape_segment(given->name));
  co_return finish(answer, given->http.json, [&](const Json&) { return "deleted " + given->name + "\n"; });
}

Task<int> list_tenants(runtime::Runtime& runtime, Given given) {
  const auto answer = co_await ask(runtime, given->http, "GET", "/v1/tenants");
  co_return finish(answer, given->http.json, [](const Json& body) {
    std::string out;
    for (const auto& tenant : body.at("tenants")) out += cell(tenant.at("name")) + "\n";
    return out;
  });
}

void add_name(CLI::App* command, const Given& given) {
  command->add_option("name", given->name, "its name")->required();
}

void add_new_password(CLI::App* command, const Given& given) {
  command
      ->add_option("--new-password-file", given->new_password_file,
                   "its first line is the new password (default: STELE_NEW_PASSWORD in the environment)")
      ->type_name("FILE");
  command->add_flag("--no-password", given->no_password, "nobody logs in as this user with a password");
}

}  // namespace

void add_user(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment) {
  auto given = std::make_shared<Arguments>();
  given->http.environment = &environment;
  CLI::App* user = app.add_subcommand("user", "Adds, lists, changes and deletes users");
  user->require_subcommand(1);
  CLI::App* adding =
      add(user, chosen, given, "add", "Adds a user; the first is an administrator (--super)", add_one_user);
  add_name(adding, given);
  add_new_password(adding, given);
  adding->add_flag("--super", given->super_user, "may do everything in his tenant; in `default`, everything");
  adding->add_option("--tenant", given->tenant, "whose user it is (default: yours)");
  CLI::App* changing = add(user, chosen, given, "passwd", "Changes a password", change_password);
  add_name(changing, given);
  add_new_password(changing, given);
  add(user, chosen, given, "list", "Lists all users", list_users);
  add_name(add(user, chosen, given, "delete", "Deletes a user, with rules and tokens; closes connections",
               delete_one_user),
           given);
  CLI::App* token = add(user, chosen, given, "token", "Makes a token for HTTP, and prints it", make_token);
  add_name(token, given);
  token->add_option("token", given->token_name, "the token's name")->required();
  CLI::App* dropping = add(user, chosen, given, "delete-token", "Deletes a token", drop_token);
  add_name(dropping, given);
  dropping->add_option("token", given->token_name, "the token's name")->required();
}

void add_acl(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment) {
  auto given = std::make_shared<Arguments>();
  given->http.environment = &environment;
  CLI::App* acl = app.add_subcommand("acl", "Adds, lists and deletes rules: who may do what");
  acl->require_subcommand(1);
  CLI::App* adding = add(acl, chosen, given, "add", "Adds a rule", add_rule);
  adding->add_option("--for", given->user, "the user that it is for")->type_name("USER");
  adding->add_flag("--everybody", given->everybody, "for every user of the tenant");
  adding->add_option("--tenant", given->tenant, "of --everybody (default: yours)");
  for (auto [flag, place] : {std::pair{"--allow", &given->allow}, std::pair{"--deny", &given->deny}}) {
    adding
        ->add_option(
            flag, *place,
            "operations: publish, subscribe (addresses); read, write, describe, create, delete, alter "
            "(topics); read, describe, delete (groups); describe, administer (the node); all")
        ->type_name("OPERATION,...")
        ->delimiter(',')
        ->allow_extra_args(false);
  }
  adding->add_option("--address", given->address, "an MQTT topic or filter")->type_name("FILTER");
  adding->add_option("--topic", given->topic, "a Kafka topic");
  adding->add_option("--topic-prefix", given->topic_prefix, "Kafka topics that begin so; *: all");
  adding->add_option("--group", given->group, "a consumer group");
  adding->add_option("--group-prefix", given->group_prefix, "consumer groups that begin so; *: all");
  adding->add_flag("--node", given->node, "the node itself");
  add(acl, chosen, given, "list", "Lists all rules", list_rules);
  add(acl, chosen, given, "delete", "Deletes a rule", delete_rule)
      ->add_option("id", given->id, "its id, as list shows it")
      ->required();
}

void add_tenant(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment) {
  auto given = std::make_shared<Arguments>();
  given->http.environment = &environment;
  CLI::App* tenant = app.add_subcommand("tenant", "Adds, lists and deletes tenants");
  tenant->require_subcommand(1);
  add_name(add(tenant, chosen, given, "add", "Adds a tenant", add_one_tenant), given);
  add(tenant, chosen, given, "list", "Lists all tenants", list_tenants);
  add_name(add(tenant, chosen, given, "delete", "Deletes a tenant that has no topics and no users",
               delete_one_tenant),
           given);
}

}  // namespace stele::server::cli
