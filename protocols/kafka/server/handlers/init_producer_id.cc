// InitProducerId: gives an idempotent producer its id. One that has an id already gets another (KIP-360 lets
// it ask for a new epoch of its own, which only a transactional producer needs): nothing is known of it here
// but what its partitions remember.
//
// A transactional producer is refused with UNSUPPORTED_VERSION, as Kafka refuses what a cluster has not
// enabled: clients take it for good, where a retriable error would have them ask for ever, and an
// authorization error would send people to look for a missing right.
#include "protocols/kafka/messages/init_producer_id.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

KafkaError init_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnauthorized:
      return KafkaError::kClusterAuthorizationFailed;
    case ErrorCode::kUnavailable:
    case ErrorCode::kClosed:
      return KafkaError::kCoordinatorLoadInProgress;  // the client asks again
    default:
      return kafka_error(error);
  }
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_init_producer_id(HandlerContext& context,
                                                             IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<InitProducerIdRequest>(request));
  InitProducerIdResponse response;
  response.producer_epoch = -1;
  if (body.transactional_id) {
    response.error =
        body.transactional_id->empty() ? KafkaError::kInvalidRequest : KafkaError::kUnsupportedVersion;
    co_return encode_response(request, response);
  }
  // Both of them or neither.
  if ((body.producer_id == -1) != (body.producer_epoch == -1)) {
    response.error = KafkaError::kInvalidRequest;
    co_return encode_response(request, response);
  }
  const auto id = co_await context.broker.new_producer_id(context.principal);
  if (id) {
    response.producer_id = *id;
    response.producer_epoch = 0;
  } else {
    response.error = init_error(id.error());
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
