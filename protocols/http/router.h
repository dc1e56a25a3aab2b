// Which handler answers a request, and what handlers share. The paths are documented in
// docs/formats/http-api.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/access.h"
#include "protocols/http/backend.h"
#include "protocols/http/message.h"
#include "protocols/http/node_info.h"
#include "runtime/task.h"

namespace stele::http {

// What a handler works with. Outlives the request.
struct HandlerContext {
  const Backend& backend;
  NodeInfo& node;
  std::string address;          // the client's host
  std::string certificate;      // whose it has shown; empty: nobody's
  broker::Principal principal;  // of the request
};

// A request whose path is cut and decoded.
struct RoutedRequest {
  std::vector<std::string> path;
  std::string body;
};

using Handler = runtime::Task<Response> (*)(HandlerContext& context, RoutedRequest request);

// HEAD is answered as GET; leaving the body out is the connection's work.
runtime::Task<Response> route(HandlerContext& context, Request request);

// {"error": {"code": …, "message": …}}, with the status that fits the code.
Response error_response(const Error& why);
Response error_response(int status, std::string_view code, std::string_view message);

// One per path and method.
runtime::Task<Response> handle_live(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_ready(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_cluster_health(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_metrics(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_node(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_list_topics(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_create_topic(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_describe_topic(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_alter_topic(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_delete_topic(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_list_users(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_create_user(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_alter_user(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_delete_user(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_list_acls(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_create_acl(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_delete_acl(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_list_tokens(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_create_token(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_delete_token(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_list_tenants(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_create_tenant(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_delete_tenant(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_cluster(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_list_nodes(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_describe_node(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_alter_node(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_remove_node(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_add_voter(HandlerContext& context, RoutedRequest request);
runtime::Task<Response> handle_list_shards(HandlerContext& context, RoutedRequest request);

}  // namespace stele::http
