#include "protocols/http/router.h"

#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/base64.h"

namespace stele::http {
namespace {

// A segment of a route that stands for any.
constexpr std::string_view kAny = "{}";

struct Route {
  std::string_view method;
  std::vector<std::string_view> path;
  Handler handler;
  bool for_everybody = false;  // whoever it is
};

const std::vector<Route>& routes() {
  static const std::vector<Route> the = {
      {"GET", {"health", "live"}, handle_live, true},
      {"GET", {"health", "ready"}, handle_ready, true},
      {"GET", {"health", "cluster"}, handle_cluster_health, true},
      {"GET", {"metrics"}, handle_metrics},
      {"GET", {"v1", "node"}, handle_node},
      {"GET", {"v1", "topics"}, handle_list_topics},
      {"POST", {"v1", "topics"}, handle_create_topic},
      {"GET", {"v1", "topics", kAny}, handle_describe_topic},
      {"PATCH", {"v1", "topics", kAny}, handle_alter_topic},
      {"DELETE", {"v1", "topics", kAny}, handle_delete_topic},
      {"GET", {"v1", "users"}, handle_list_users},
      {"POST", {"v1", "users"}, handle_create_user},
      {"PATCH", {"v1", "users", kAny}, handle_alter_user},
      {"DELETE", {"v1", "users", kAny}, handle_delete_user},
      {"GET", {"v1", "acls"}, handle_list_acls},
      {"POST", {"v1", "acls"}, handle_create_acl},
      {"DELETE", {"v1", "acls", kAny}, handle_delete_acl},
      {"GET", {"v1", "tokens"}, handle_list_tokens},
      {"POST", {"v1", "users", kAny, "tokens"}, handle_create_token},
      {"DELETE", {"v1", "users", kAny, "tokens", kAny}, handle_delete_token},
      {"GET", {"v1", "tenants"}, handle_list_tenants},
      {"POST", {"v1", "tenants"}, handle_create_tenant},
      {"DELETE", {"v1", "tenants", kAny}, handle_delete_tenant},
      {"GET", {"v1", "cluster"}, handle_cluster},
      {"GET", {"v1", "cluster", "nodes"}, handle_list_nodes},
      {"GET", {"v1", "cluster", "nodes", kAny}, handle_describe_node},
      {"PATCH", {"v1", "cluster", "nodes", kAny}, handle_alter_node},
      {"DELETE", {"v1", "cluster", "nodes", kAny}, handle_remove_node},
      {"PUT", {"v1", "cluster", "voters", kAny}, handle_add_voter},
      {"GET", {"v1", "cluster", "shards"}, handle_list_shards},
  };
  return the;
}

bool fits(const Route& route, std::span<const std::string> path) {
  if (route.path.size() != path.size()) return false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (route.path[i] == kAny ? path[i].empty() : route.path[i] != path[i]) return false;
  }
  return true;
}

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kMalformed:
      return 400;
    case ErrorCode::kUnauthorized:
      return 403;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kAlreadyExists:
      return 409;
    case ErrorCode::kUnsupported:
      return 501;
    case ErrorCode::kUnavailable:
    case ErrorCode::kClosed:
    case ErrorCode::kCancelled:
    case ErrorCode::kFenced:
      return 503;
    case ErrorCode::kTimedOut:
      return 504;
    case ErrorCode::kNoSpace:
      return 507;
    default:
      return 500;
  }
}

std::string code_name(ErrorCode code) {
  std::string name(to_string(code));
  for (char& c : name) {
    if (c == ' ' || c == '/') c = '_';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

}  // namespace

namespace {

// "Basic" of RFC 7617, "Bearer" of RFC 6750.
runtime::Task<Result<broker::Principal>> log_in(HandlerContext& context, const Headers& headers) {
  broker::Authenticator& authenticator = context.backend.authenticator;
  const std::string* header = headers.find("authorization");
  if (!header) {
    co_return context.certificate.empty() ? authenticator.nobody()
                                          : authenticator.of_certificate(context.certificate);
  }
  if (headers.count("authorization") > 1) {
    co_return error(ErrorCode::kMalformed, "there is more than one Authorization");
  }
  const std::size_t space = header->find(' ');
  std::string scheme = header->substr(0, space);
  for (char& c : scheme) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const std::string_view rest =
      space == std::string::npos ? std::string_view() : std::string_view(*header).substr(space + 1);
  if (scheme == "bearer") {
    co_return co_await authenticator.log_in_with_token(context.address, std::string(rest));
  }
  if (scheme != "basic") {
    co_return error(ErrorCode::kMalformed, "the Authorization is neither Basic nor Bearer");
  }
  const auto plain = base64_decode(rest);
  const std::size_t colon = plain ? plain->find(':') : std::string::npos;
  if (colon == std::string::npos) co_return error(ErrorCode::kMalformed, "the Authorization cannot be read");
  co_return co_await authenticator.log_in(context.address, plain->substr(0, colon), plain->substr(colon + 1));
}

Response refused_login(const Error& why) {
  if (why.code != ErrorCode::kUnauthorized) return error_response(why);
  Response refused = error_response(401, "unauthenticated", why.message);
  refused.headers.add("www-authenticate", "Basic realm=\"stele\", charset=\"UTF-8\"");
  return refused;
}

}  // namespace

Response error_response(int status, std::string_view code, std::string_view message) {
  const nlohmann::json body = {{"error", {{"code", code}, {"message", message}}}};
  Response response;
  response.status = status;
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return response;
}

Response error_response(const Error& why) {
  return error_response(status_of(why.code), code_name(why.code), why.message);
}

runtime::Task<Response> route(HandlerContext& context, Request request) {
  RoutedRequest routed;
  if (!split_path(request.target, routed.path)) {
    co_return error_response(400, "invalid_argument",
                             "the path does not begin with a slash, or has a bad escape");
  }
  routed.body = std::move(request.body);
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  std::string allowed;
  for (const Route& route : routes()) {
    if (!fits(route, routed.path)) continue;
    if (route.method == method) {
      // A web page could make a visitor's browser send it to his machine, where nobody asks who he is.
      if (method != "GET" && request.headers.find("origin")) {
        co_return error_response(403, "unauthorized", "requests of web pages (with an Origin) only read");
      }
      if (!route.for_everybody) {
        auto who = co_await log_in(context, request.headers);
        if (!who) co_return refused_login(who.error());
        context.principal = *std::move(who);
      }
      co_return co_await route.handler(context, std::move(routed));
    }
    if (!allowed.empty()) allowed += ", ";
    allowed += route.method;
    if (route.method == "GET") allowed += ", HEAD";
  }
  if (allowed.empty()) {
    co_return error_response(404, "not_found", "there is nothing at " + request.target);
  }
  Response refused = error_response(
      405, "method_not_allowed", request.method + " is not for " + request.target + ", which has " + allowed);
  refused.headers.add("allow", allowed);
  co_return refused;
}

}  // namespace stele::http
