// Whether the node lives and serves; its counters; what it is.
#include <nlohmann/json.hpp>

#include "protocols/http/router.h"

namespace stele::http {
namespace {

bool is_ready(const HandlerContext& context) {
  const broker::Broker* broker = context.backend.broker;
  return context.node.ready() && !(broker && broker->stopping());
}

}  // namespace

runtime::Task<Response> handle_live(HandlerContext&, RoutedRequest) {
  Response response;
  response.body = "{\"status\":\"live\"}\n";
  co_return response;
}

runtime::Task<Response> handle_ready(HandlerContext& context, RoutedRequest) {
  if (!is_ready(context)) {
    co_return error_response(503, "unavailable", "the node starts or stops");
  }
  Response response;
  response.body = "{\"status\":\"ready\"}\n";
  co_return response;
}

runtime::Task<Response> handle_metrics(HandlerContext& context, RoutedRequest) {
  if (!context.backend.authorizer.allowed(context.principal, broker::Action::kDescribe, "")) {
    co_return error_response(Error{ErrorCode::kUnauthorized, "metrics may not be read"});
  }
  Response response;
  response.content_type = kMetricsContentType;
  response.body = render(co_await context.node.metrics());
  co_return response;
}

runtime::Task<Response> handle_node(HandlerContext& context, RoutedRequest) {
  if (!context.backend.authorizer.allowed(context.principal, broker::Action::kDescribe, "")) {
    co_return error_response(Error{ErrorCode::kUnauthorized, "the node may not be described"});
  }
  const NodeDescription node = context.node.describe();
  const auto view = context.backend.view();
  auto listeners = nlohmann::ordered_json::object();
  for (const auto& [protocol, addresses] : node.listeners) listeners[protocol] = addresses;
  const nlohmann::ordered_json body = {{"node", context.backend.node.value},
                                       {"cluster", view->cluster().id},
                                       {"version", node.version},
                                       {"ready", is_ready(context)},
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
