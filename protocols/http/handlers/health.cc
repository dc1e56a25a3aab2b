// Whether the node lives and serves; its counters; what it is.
#include <nlohmann/json.hpp>

#include "protocols/http/router.h"

namespace stele::http {

runtime::Task<Response> handle_live(HandlerContext&, RoutedRequest) {
  Response response;
  response.body = "{\"status\":\"live\"}\n";
  co_return response;
}

runtime::Task<Response> handle_ready(HandlerContext& context, RoutedRequest) {
  if (!context.node.ready() || context.broker.stopping()) {
    co_return error_response(503, "unavailable", "the node starts or stops");
  }
  Response response;
  response.body = "{\"status\":\"ready\"}\n";
  co_return response;
}

runtime::Task<Response> handle_metrics(HandlerContext& context, RoutedRequest) {
  if (!context.broker.authorizer().allowed(context.principal, broker::Action::kDescribe, "")) {
    co_return error_response(Error{ErrorCode::kUnauthorized, "metrics may not be read"});
  }
  Response response;
  response.content_type = kMetricsContentType;
  response.body = render(co_await context.node.metrics());
  co_return response;
}

runtime::Task<Response> handle_node(HandlerContext& context, RoutedRequest) {
  if (!context.broker.authorizer().allowed(context.principal, broker::Action::kDescribe, "")) {
    co_return error_response(Error{ErrorCode::kUnauthorized, "the node may not be described"});
  }
  const NodeDescription node = context.node.describe();
  const auto view = context.broker.meta();
  auto listeners = nlohmann::ordered_json::object();
  for (const auto& [protocol, addresses] : node.listeners) listeners[protocol] = addresses;
  const nlohmann::ordered_json body = {{"node", context.broker.node_id().value},
                                       {"cluster", view->cluster().id},
                                       {"version", node.version},
                                       {"ready", context.node.ready() && !context.broker.stopping()},
                                       {"durability", node.durability},
                                       {"cores", node.cores},
                                       {"shards", view->cluster().shard_count},
                                       {"topics", view->topics().size()},
                                       {"started_ms", node.started_ms},
                                       {"listeners", std::move(listeners)}};
  Response response;
  response.body = body.dump() + "\n";
  co_return response;
}

}  // namespace stele::http
