#include "protocols/kafka/messages/init_producer_id.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, InitProducerIdRequest& m) {
  a.nullable("transactional_id", m.transactional_id);
  a.field("transaction_timeout_ms", m.transaction_timeout_ms);
  if (a.version() >= 3) {
    a.field("producer_id", m.producer_id);
    a.field("producer_epoch", m.producer_epoch);
  }
}

template <class Archive>
void describe(Archive& a, InitProducerIdResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("error_code", m.error);
  a.field("producer_id", m.producer_id);
  a.field("producer_epoch", m.producer_epoch);
}

STELE_KAFKA_INSTANTIATE_REQUEST(InitProducerIdRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(InitProducerIdResponse)

}  // namespace stele::kafka
