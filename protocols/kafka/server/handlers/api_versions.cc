// ApiVersions: what is served, and nothing else. A version that we lack is answered in version 0 with
// UNSUPPORTED_VERSION, so that the client can choose again (KIP-511).
#include "protocols/kafka/messages/api_versions.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {

runtime::Task<Result<ResponseBytes>> handle_api_versions(HandlerContext&, IncomingRequest request) {
  if (request.request.support == RequestSupport::kAnswerApiVersionsZero) {
    co_return response_slices(request.request.header.correlation_id, 0,
                              make_api_versions_response(KafkaError::kUnsupportedVersion));
  }
  STELE_CO_TRY([[maybe_unused]] auto body, decode_body<ApiVersionsRequest>(request));
  co_return encode_response(request, make_api_versions_response());
}

}  // namespace stele::kafka
