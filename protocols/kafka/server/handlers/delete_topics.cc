// DeleteTopics: by name, or by id from version 6 on.
#include "protocols/kafka/messages/delete_topics.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {

runtime::Task<Result<ResponseBytes>> handle_delete_topics(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<DeleteTopicsRequest>(request));
  DeleteTopicsResponse response;
  for (const auto& asked : body.topics) {
    DeleteTopicsResponse::Topic& out = response.topics.emplace_back();
    out.name = asked.name;
    out.topic_id = asked.topic_id;
    const auto view = context.broker.meta();
    const meta::Topic* topic =
        find_topic(*view, context.principal.tenant, asked.name.value_or(""), asked.topic_id);
    if (!topic) {
      out.error = no_such_topic(context, broker::Action::kDeleteTopic, asked.name.value_or(""));
      continue;
    }
    out.name = topic->name;
    out.topic_id = uuid_of(*topic);
    const std::string name = topic->name;
    if (auto gone = co_await context.broker.delete_topic(context.principal, name); !gone) {
      out.error = kafka_error(gone.error());
      out.error_message = gone.error().message;
    }
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
