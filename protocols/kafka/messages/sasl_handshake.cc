#include "protocols/kafka/messages/sasl_handshake.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, SaslHandshakeRequest& m) {
  a.field("mechanism", m.mechanism);
}

template <class Archive>
void describe(Archive& a, SaslHandshakeResponse& m) {
  a.field("error_code", m.error);
  a.field("mechanisms", m.mechanisms);
}

STELE_KAFKA_INSTANTIATE_REQUEST(SaslHandshakeRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(SaslHandshakeResponse)

}  // namespace stele::kafka
