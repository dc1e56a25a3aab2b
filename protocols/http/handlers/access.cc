// Users, access rules, tokens, tenants.
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "protocols/http/json.h"
#include "protocols/http/router.h"

namespace stele::http {
namespace {

using meta::Operations;
using meta::PatternKind;
using meta::ResourceKind;

// ---- reading ---------------------------------------------------------------------------------------------

using Readers = std::map<std::string_view, std::function<Result<>(const Json&)>>;

// A JSON object with none but these fields.
Result<> read_object(const std::string& text, const Readers& readers) {
  const Json body = Json::parse(text, nullptr, false);
  if (!body.is_object()) return std::unexpected(wrong_request("the body is not a JSON object"));
  for (const auto& [key, value] : body.items()) {
    const auto found = readers.find(key);
    if (found == readers.end()) {
      std::string names;
      for (const auto& [name, reader] : readers) names += (names.empty() ? "" : ", ") + std::string(name);
      return std::unexpected(wrong_request("'" + key + "' is none of " + names));
    }
    if (auto read = found->second(value); !read) {
      return std::unexpected(wrong_request("'" + key + "' " + read.error().message));
    }
  }
  return {};
}

auto text_into(std::string& place) {
  return [&place](const Json& value) -> Result<> {
    if (!value.is_string()) return std::unexpected(wrong_request("is a string"));
    place = value.get<std::string>();
    return {};
  };
}

auto flag_into(bool& place) {
  return [&place](const Json& value) -> Result<> {
    if (!value.is_boolean()) return std::unexpected(wrong_request("is true or false"));
    place = value.get<bool>();
    return {};
  };
}

// A string, or null for none.
auto maybe_text_into(std::optional<std::string>& place) {
  return [&place](const Json& value) -> Result<> {
    if (value.is_null()) {
      place.reset();
      return {};
    }
    return text_into(place.emplace())(value);
  };
}

Result<Operations> read_operations(const Json& names, ResourceKind kind) {
  const auto wrong = [&] {
    std::string all;
    for (std::size_t i = 0; i < meta::kOperationCount; ++i) {
      const auto operation = static_cast<meta::Operation>(i);
      if (meta::operations_of(kind) & meta::bit(operation))
        all += std::string(meta::to_string(operation)) + ", ";
    }
    return std::unexpected(wrong_request("'operations' of a rule about a resource of kind " +
                                         std::string(meta::to_string(kind)) + " is a list of: " + all +
                                         "all"));
  };
  if (!names.is_array() || names.empty()) return wrong();
  Operations out = 0;
  for (const Json& name : names) {
    if (!name.is_string()) return wrong();
    const auto text = name.get<std::string>();
    const auto operation = meta::find_operation(text);
    if (text == "all") {
      out |= meta::operations_of(kind);
    } else if (operation && (meta::operations_of(kind) & meta::bit(*operation))) {
      out |= meta::bit(*operation);
    } else {
      return wrong();
    }
  }
  return out;
}

Result<broker::NewRule> read_rule(const std::string& text) {
  broker::NewRule out;
  std::string permission = "allow";
  std::optional<std::string> address, topic, topic_prefix, group, group_prefix;
  bool node = false;
  Json operations;
  STELE_CHECK(read_object(text, {
                                    {"user", maybe_text_into(out.user)},
                                    {"tenant", text_into(out.tenant)},
                                    {"permission", text_into(permission)},
                                    {"operations",
                                     [&](const Json& value) -> Result<> {
                                       operations = value;
                                       return {};
                                     }},
                                    {"address", maybe_text_into(address)},
                                    {"topic", maybe_text_into(topic)},
                                    {"topic_prefix", maybe_text_into(topic_prefix)},
                                    {"group", maybe_text_into(group)},
                                    {"group_prefix", maybe_text_into(group_prefix)},
                                    {"node", flag_into(node)},
                                }));
  if (permission != "allow" && permission != "deny") {
    return std::unexpected(wrong_request("'permission' is allow or deny"));
  }
  out.rule.allow = permission == "allow";
  const struct {
    const std::optional<std::string>& pattern;
    ResourceKind resource;
    PatternKind kind;
  } kinds[] = {
      {address, ResourceKind::kAddress, PatternKind::kFilter},
      {topic, ResourceKind::kTopic, PatternKind::kLiteral},
      {topic_prefix, ResourceKind::kTopic, PatternKind::kPrefix},
      {group, ResourceKind::kGroup, PatternKind::kLiteral},
      {group_prefix, ResourceKind::kGroup, PatternKind::kPrefix},
  };
  int count = node ? 1 : 0;
  if (node) {
    out.rule.resource = ResourceKind::kNode;
    out.rule.pattern_kind = PatternKind::kLiteral;
  }
  for (const auto& one : kinds) {
    if (!one.pattern) continue;
    ++count;
    out.rule.resource = one.resource;
    out.rule.pattern_kind = one.kind;
    out.rule.pattern = *one.pattern;
  }
  if (count != 1) {
    return std::unexpected(
        wrong_request("a rule is about one of address, topic, topic_prefix, group, group_prefix, node"));
  }
  STELE_TRY(out.rule.operations, read_operations(operations, out.rule.resource));
  return out;
}

// ---- showing ---------------------------------------------------------------------------------------------

std::string tenant_name(const meta::MetaView& view, TenantId id) {
  const auto found = view.tenants().find(id);
  return found == view.tenants().end() ? std::string() : found->second.name;
}

Json show(const meta::MetaView& view, const meta::User& user) {
  Json mechanisms = Json::array();
  for (const scram::Credential& one : user.credentials) mechanisms.push_back(mechanism_name(one.hash));
  return {{"name", user.name},
          {"tenant", tenant_name(view, user.tenant)},
          {"super_user", user.super_user},
          {"password", !user.credentials.empty()},
          {"mechanisms", std::move(mechanisms)},
          {"created_ms", user.created_ms}};
}

Json show(const meta::MetaView& view, const meta::AclRule& rule) {
  Json out = {{"id", rule.id.value}, {"tenant", tenant_name(view, rule.tenant)}, {"user", nullptr}};
  if (const meta::User* user = view.identities()->find(rule.user)) out["user"] = user->name;
  out["permission"] = rule.allow ? "allow" : "deny";
  Json operations = Json::array();
  for (std::size_t i = 0; i < meta::kOperationCount; ++i) {
    const auto operation = static_cast<meta::Operation>(i);
    if (rule.operations & meta::bit(operation)) operations.push_back(meta::to_string(operation));
  }
  out["operations"] = std::move(operations);
  if (rule.resource == ResourceKind::kNode) {
    out["node"] = true;
  } else {
    std::string name(meta::to_string(rule.resource));
    if (rule.pattern_kind == PatternKind::kPrefix) name += "_prefix";
    out[name] = rule.pattern;
  }
  return out;
}

Json show(const meta::MetaView& view, const meta::Token& token) {
  const meta::User* user = view.identities()->find(token.user);
  Json out = {{"user", user ? user->name : std::string()},
              {"name", token.name},
              {"created_ms", token.created_ms},
              {"expires_ms", nullptr}};
  if (token.expires_ms) out["expires_ms"] = token.expires_ms;
  return out;
}

Json show(const meta::MetaView&, const meta::Tenant& tenant) {
  return {{"name", tenant.name}};
}

template <class T>
Response show_all(HandlerContext& context, const char* name, const Result<std::vector<T>>& all) {
  if (!all) return error_response(all.error());
  const auto view = context.backend.view();
  Json list = Json::array();
  for (const T& one : *all) list.push_back(show(*view, one));
  return json_response(200, {{name, std::move(list)}});
}

template <class T>
Response show_one(HandlerContext& context, int status, const Result<T>& one) {
  if (!one) return error_response(one.error());
  return json_response(status, show(*context.backend.view(), *one));
}

template <class T>
Response deleted(const Result<T>& one) {
  return one ? no_content() : error_response(one.error());
}

}  // namespace

// ---- users -----------------------------------------------------------------------------------------------

runtime::Task<Response> handle_list_users(HandlerContext& context, RoutedRequest) {
  co_return show_all(context, "users", context.backend.administration.users(context.principal));
}

runtime::Task<Response> handle_create_user(HandlerContext& context, RoutedRequest request) {
  broker::NewUser user;
  bool has_password = false;
  const auto password = [&](const Json& value) -> Result<> {
    has_password = true;
    return maybe_text_into(user.password)(value);
  };
  const auto read = read_object(request.body, {{"name", text_into(user.name)},
                                               {"tenant", text_into(user.tenant)},
                                               {"super_user", flag_into(user.super_user)},
                                               {"password", password}});
  if (!read) co_return error_response(read.error());
  if (!has_password) {
    co_return error_response(wrong_request("'password' is missing; null for a user that has none"));
  }
  const auto made = co_await context.backend.administration.create_user(context.principal, std::move(user));
  co_return show_one(context, 201, made);
}

runtime::Task<Response> handle_alter_user(HandlerContext& context, RoutedRequest request) {
  broker::UserChange change;
  change.name = request.path.back();
  const auto password = [&](const Json& value) { return maybe_text_into(change.password.emplace())(value); };
  const auto super_user = [&](const Json& value) { return flag_into(change.super_user.emplace())(value); };
  const auto read = read_object(request.body, {{"password", password}, {"super_user", super_user}});
  if (!read) co_return error_response(read.error());
  const auto altered =
      co_await context.backend.administration.alter_user(context.principal, std::move(change));
  co_return show_one(context, 200, altered);
}

runtime::Task<Response> handle_delete_user(HandlerContext& context, RoutedRequest request) {
  co_return deleted(
      co_await context.backend.administration.delete_user(context.principal, request.path.back()));
}

// ---- rules -----------------------------------------------------------------------------------------------

runtime::Task<Response> handle_list_acls(HandlerContext& context, RoutedRequest) {
  co_return show_all(context, "acls", context.backend.administration.rules(context.principal));
}

runtime::Task<Response> handle_create_acl(HandlerContext& context, RoutedRequest request) {
  auto rule = read_rule(request.body);
  if (!rule) co_return error_response(rule.error());
  const auto made = co_await context.backend.administration.create_rule(context.principal, *std::move(rule));
  co_return show_one(context, 201, made);
}

runtime::Task<Response> handle_delete_acl(HandlerContext& context, RoutedRequest request) {
  const std::string& text = request.path.back();
  std::uint64_t id = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (failed != std::errc() || end != text.data() + text.size()) {
    co_return error_response(wrong_request("'" + text + "' is not the id of a rule"));
  }
  co_return deleted(co_await context.backend.administration.delete_rule(context.principal, meta::AclId(id)));
}

// ---- tokens ----------------------------------------------------------------------------------------------

runtime::Task<Response> handle_list_tokens(HandlerContext& context, RoutedRequest) {
  co_return show_all(context, "tokens", context.backend.administration.tokens(context.principal));
}

runtime::Task<Response> handle_create_token(HandlerContext& context, RoutedRequest request) {
  broker::NewToken token;
  token.user = request.path[2];
  const auto expires = [&](const Json& value) -> Result<> {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > INT64_MAX) {
      return std::unexpected(wrong_request("is a time in milliseconds since 1970"));
    }
    token.expires_ms = value.get<std::int64_t>();
    return {};
  };
  const auto read = read_object(request.body, {{"name", text_into(token.name)}, {"expires_ms", expires}});
  if (!read) co_return error_response(read.error());
  const auto made = co_await context.backend.administration.create_token(context.principal, std::move(token));
  if (!made) co_return error_response(made.error());
  Json body = show(*context.backend.view(), made->token);
  body["token"] = made->text;
  co_return json_response(201, body);
}

runtime::Task<Response> handle_delete_token(HandlerContext& context, RoutedRequest request) {
  co_return deleted(co_await context.backend.administration.delete_token(context.principal, request.path[2],
                                                                         request.path.back()));
}

// ---- tenants ---------------------------------------------------------------------------------------------

runtime::Task<Response> handle_list_tenants(HandlerContext& context, RoutedRequest) {
  co_return show_all(context, "tenants", context.backend.administration.tenants(context.principal));
}

runtime::Task<Response> handle_create_tenant(HandlerContext& context, RoutedRequest request) {
  std::string name;
  const auto read = read_object(request.body, {{"name", text_into(name)}});
  if (!read) co_return error_response(read.error());
  const auto made = co_await context.backend.administration.create_tenant(context.principal, std::move(name));
  co_return show_one(context, 201, made);
}

runtime::Task<Response> handle_delete_tenant(HandlerContext& context, RoutedRequest request) {
  co_return deleted(
      co_await context.backend.administration.delete_tenant(context.principal, request.path.back()));
}

}  // namespace stele::http
