#include "protocols/kafka/messages/sasl_authenticate.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, SaslAuthenticateRequest& m) {
  a.bytes("auth_bytes", m.auth_bytes);
}

template <class Archive>
void describe(Archive& a, SaslAuthenticateResponse& m) {
  a.field("error_code", m.error);
  a.nullable("error_message", m.error_message);
  a.bytes("auth_bytes", m.auth_bytes);
  if (a.version() >= 1) a.field("session_lifetime_ms", m.session_lifetime_ms);
}

STELE_KAFKA_INSTANTIATE_REQUEST(SaslAuthenticateRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(SaslAuthenticateResponse)

}  // namespace stele::kafka
