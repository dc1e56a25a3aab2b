#include "broker/testing/peer_samples.h"

#include <string_view>

#include "broker/message_batch.h"

namespace stele::broker::wire {

std::string PeerSamples::text(std::size_t most) {
  std::string made(below(most + 1), '\0');
  for (char& one : made) one = static_cast<char>(below(256));
  return made;
}

std::string PeerSamples::address() {
  std::string made;
  for (std::uint64_t words = below(4); words > 0; --words) {
    made += "abc";
    made += coin() ? "/" : "\u20ac";
  }
  return made;
}

std::string PeerSamples::filter() {
  return coin() ? address() + "/+/#" : address();
}

std::string PeerSamples::share() {
  return "$share/group/" + filter();
}

Bytes PeerSamples::batch() {
  const std::string where = address();
  const std::string payload = large_ && coin() ? std::string(1900 + below(4000), 'p') : text(30);
  MessageView message;
  message.address = where;
  message.payload = payload;
  message.timestamp_ms = static_cast<std::int64_t>(below(1ULL << 40));
  return batch_of(message, KeyRule{}).batch;
}

LiveBundle PeerSamples::bundle() {
  LiveBundle made(large_ && coin() ? LiveBundle::kLarge : LiveBundle::kSmall);
  for (std::uint64_t messages = below(large_ ? 40 : 4); messages > 0; --messages) {
    const std::string where = address(), payload = text(100);
    MessageView message;
    message.address = where;
    message.payload = payload;
    message.timestamp_ms = static_cast<std::int64_t>(below(1ULL << 40));
    message.qos = static_cast<std::uint8_t>(below(3));
    message.retain = coin();
    if (coin()) message.payload_format = static_cast<std::uint8_t>(below(2));
    if (coin()) message.expires_at_ms = static_cast<std::int64_t>(below(1ULL << 40));
    if (!made.append(TenantId(static_cast<std::uint32_t>(number())), number(), message)) break;
  }
  return made;
}

// ---- parts ------------------------------------------------------------------------------------------------

void PeerSamples::fill(Error& to) {
  to.code = coin() ? ErrorCode::kUnavailable : ErrorCode::kUnsupported;
  to.message = text(30);
}

void PeerSamples::fill(Data& to) {
  to.tenant = TenantId(static_cast<std::uint32_t>(number()));
  to.retain = coin();
  to.kafka_batch = coin();
  to.address_headers_allowed = coin();
  to.keyed_by_address = coin();
  to.qos = static_cast<std::uint8_t>(below(3));
  to.publisher_hash = number();
  if (coin()) to.stream = StreamId{TopicId(number()), PartitionId(static_cast<std::int32_t>(below(1000)))};
  to.address = Bytes::copy(address());
  to.batch = batch();
}

void PeerSamples::fill(SettleToken& to) {
  to.lsn = Lsn(number());
  to.index = static_cast<std::uint32_t>(number());
  to.durable = coin();
  to.packet_id = static_cast<std::uint16_t>(number());
  to.share = static_cast<std::uint32_t>(number());
  to.home = ShardId(static_cast<std::uint32_t>(number()));
}

void PeerSamples::fill(SubscribeRequest& to) {
  to.filter = filter();
  to.qos = static_cast<std::uint8_t>(below(3));
  to.no_local = coin();
  to.retain_as_published = coin();
  to.retain_handling = static_cast<std::uint8_t>(below(3));
  to.subscription_id = static_cast<std::uint32_t>(number());
}

void PeerSamples::fill(ShareMemberName& to) {
  to.tenant = TenantId(static_cast<std::uint32_t>(number()));
  to.client_id = text(20);
  to.share = share();
}

void PeerSamples::fill(SessionItem& to) {
  fill(to.token);
  to.qos = static_cast<std::uint8_t>(below(3));
  to.retain = coin();
  to.redelivered = coin();
  to.address_headers_allowed = coin();
  for (std::uint64_t ids = below(4); ids > 0; --ids)
    to.subscription_ids.push_back(static_cast<std::uint32_t>(number()));
  to.tenant = TenantId(static_cast<std::uint32_t>(number()));
  to.address = Bytes::copy(address());
  to.batch = batch();
}

// ---- messages ---------------------------------------------------------------------------------------------

void PeerSamples::fill(DataMail& to) {
  to.shard = ShardId(static_cast<std::uint32_t>(number()));
  to.meta_version = number();
  to.generation = static_cast<std::uint32_t>(number());
  for (std::uint64_t shards = below(6); shards > 0; --shards)
    to.forwards.emplace_back(static_cast<std::uint32_t>(number()));
  if (coin()) {
    to.once = OnceId{.session = static_cast<std::uint32_t>(number()),
                     .epoch = number(),
                     .packet_id = static_cast<std::uint16_t>(1 + below(65535))};
  }
  for (std::uint64_t shares = below(3); shares > 0; --shares) to.shares.push_back(Bytes::copy(share()));
  if (coin()) {
    to.denied = make<Error>();
    if (coin()) return;
  }
  fill(to.data);
  if (to.once) to.data.kafka_batch = false;
}

void PeerSamples::fill(DataAnswerMail& to) {
  if (coin()) to.error = make<Error>();
  to.unknown = coin();
  to.matched = coin();
  to.produced.base_offset = Offset(static_cast<std::int64_t>(number()));
  to.produced.append_time_ms = static_cast<std::int64_t>(number());
  to.produced.log_start = Offset(static_cast<std::int64_t>(number()));
}

void PeerSamples::fill(ForwardMail& to) {
  to.source = ShardId(static_cast<std::uint32_t>(number()));
  to.target = ShardId(static_cast<std::uint32_t>(number()));
  to.source_epoch = Epoch(number());
  to.lsn = Lsn(1 + number() / 2);
  if (coin()) to.after = Lsn(below(to.lsn.value));
  to.meta_version = number();
  fill(to.data);
}

void PeerSamples::fill(ForwardAnswerMail& to) {
  to.source = ShardId(static_cast<std::uint32_t>(number()));
  to.target = ShardId(static_cast<std::uint32_t>(number()));
  to.up_to = Lsn(number());
  if (coin()) to.error = make<Error>();
}

void PeerSamples::fill(LiveHead& to) {
  to.core = static_cast<std::uint32_t>(below(64));
  to.number = 1 + number() / 2;
  to.after = below(to.number);
  to.unsettled = coin();
  if (coin()) return;
  to.last_of_cores = to.core + 1 + static_cast<std::uint32_t>(below(64));
  to.incarnation = number();
}

void PeerSamples::fill(Live& to) {
  fill(to.head);
  for (std::uint64_t parts = below(4); parts > 0; --parts) {
    if (coin()) {
      to.parts.emplace_back(bundle());
      continue;
    }
    LiveMail mail;
    fill(mail.data);
    if (coin()) mail.share = Bytes::copy(share());
    mail.tries = static_cast<std::uint32_t>(number());
    to.parts.emplace_back(std::move(mail));
  }
}

void PeerSamples::fill(Items& to) {
  for (std::uint64_t parts = below(4); parts > 0; --parts) {
    const std::uint64_t attachment = number(), which = below(4);
    if (which == 0) {
      to.parts.emplace_back(TakenOver{attachment});
    } else if (which == 1) {
      to.parts.emplace_back(SessionLost{attachment, make<Error>()});
    } else {
      SessionMail mail;
      mail.attachment = attachment;
      mail.items = some<SessionItem>();
      for (std::uint64_t some = below(4); some > 0; --some) {
        mail.releases.push_back(static_cast<std::uint16_t>(1 + below(65535)));
        mail.completed.push_back({static_cast<std::uint16_t>(1 + below(65535)), coin()});
      }
      to.parts.emplace_back(std::move(mail));
    }
  }
}

void PeerSamples::fill(Settle& to) {
  to.settled.resize(below(5));
  for (SettleMail& one : to.settled) {
    one.shard = ShardId(static_cast<std::uint32_t>(number()));
    one.attachment = number();
    one.what = static_cast<SettleMail::What>(below(5));
    fill(one.token);
  }
}

// ---- sessions ---------------------------------------------------------------------------------------------

void PeerSamples::fill(SessionAsk& to) {
  fill_place(below(std::variant_size_v<SessionAsk>), to);
}

void PeerSamples::fill(SessionAnswer& to) {
  fill_place(below(std::variant_size_v<SessionAnswer>), to);
}

void PeerSamples::fill(ask::OpenSession& to) {
  to.shard = ShardId(static_cast<std::uint32_t>(number()));
  to.options.principal = {
      .name = text(20), .tenant = TenantId(static_cast<std::uint32_t>(number())), .user = UserId(number())};
  to.options.client_id = "c" + text(20);
  to.options.clean_start = coin();
  to.options.expiry_s = static_cast<std::uint32_t>(number());
  to.options.receive_maximum = static_cast<std::uint32_t>(number());
  if (coin()) {
    to.will = WillContent{.delay_s = static_cast<std::uint32_t>(number()),
                          .qos = static_cast<std::uint8_t>(below(3)),
                          .retain = coin(),
                          .address = Bytes::copy(address()),
                          .batch = batch()};
  }
  to.attachment = number();
}

void PeerSamples::fill(ask::Subscribe& to) {
  to.shard = ShardId(static_cast<std::uint32_t>(number()));
  to.attachment = number();
  to.requests = some<SubscribeRequest>();
}

void PeerSamples::fill(ask::Unsubscribe& to) {
  to.shard = ShardId(static_cast<std::uint32_t>(number()));
  to.attachment = number();
  for (std::uint64_t filters = below(4); filters > 0; --filters) to.filters.push_back(filter());
}

void PeerSamples::fill(ask::QueueRetained& to) {
  to.shard = ShardId(static_cast<std::uint32_t>(number()));
  to.attachment = number();
  to.page = some<RetainedMessage>();
  fill(to.request);
}

void PeerSamples::fill(ask::FinishRetained& to) {
  to = {.shard = ShardId(static_cast<std::uint32_t>(number())), .attachment = number()};
}

void PeerSamples::fill(ask::StartDelivery& to) {
  to = {.shard = ShardId(static_cast<std::uint32_t>(number())), .attachment = number()};
}

void PeerSamples::fill(ask::EndSession& to) {
  to.shard = ShardId(static_cast<std::uint32_t>(number()));
  to.tenant = TenantId(static_cast<std::uint32_t>(number()));
  to.client_id = text(20);
  to.attachment = number();
  if (coin()) to.ending.expiry_s = static_cast<std::uint32_t>(number());
  to.ending.goodbye = coin();
  to.wait = coin();
}

void PeerSamples::fill(ask::JoinShare& to) {
  to.home = ShardId(static_cast<std::uint32_t>(number()));
  to.join.tenant = TenantId(static_cast<std::uint32_t>(number()));
  to.join.client_id = text(20);
  to.join.durable = coin();
  fill(to.join.request);
  to.join.request.filter = share();
  to.join.attachment = number();
  to.join.receive_maximum = static_cast<std::uint32_t>(number());
}

void PeerSamples::fill(ask::LeaveShare& to) {
  to.home = ShardId(static_cast<std::uint32_t>(number()));
  fill(to.member);
  to.attachment = number();
  to.for_good = coin();
}

void PeerSamples::fill(ask::StartShare& to) {
  to.home = ShardId(static_cast<std::uint32_t>(number()));
  fill(to.member);
  to.attachment = number();
}

void PeerSamples::fill(ask::AreMembers& to) {
  to.members = some<ShareMemberName>();
}

void PeerSamples::fill(ask::LookForRetained& to) {
  to.ask.tenant = TenantId(static_cast<std::uint32_t>(number()));
  to.ask.filter = filter();
  to.ask.which = static_cast<RetainedAsk::Which>(below(3));
  fill(to.ask.from);
  for (std::uint64_t shards = below(4); shards > 0; --shards)
    to.shards.emplace_back(static_cast<std::uint32_t>(number()));
}

void PeerSamples::fill(RetainedMessage& to) {
  to.address = Bytes::copy(address());
  to.batch = batch();
  to.qos = static_cast<std::uint8_t>(below(3));
}

void PeerSamples::fill(RetainedPlace& to) {
  to.shard = ShardId(static_cast<std::uint32_t>(number()));
  to.behind = address();
}

void PeerSamples::fill(RetainedPage& to) {
  to.messages = some<RetainedMessage>();
  to.more = coin();
  fill(to.next);
}

void PeerSamples::fill(SessionOpened& to) {
  to.present = coin();
  to.durable = coin();
  to.number = static_cast<std::uint32_t>(number());
  to.epoch = number();
  to.subscriptions = some<SubscribeRequest>();
}

void PeerSamples::fill(std::vector<bool>& to) {
  for (std::uint64_t answers = below(6); answers > 0; --answers) to.push_back(coin());
}

// ---- routes -----------------------------------------------------------------------------------------------

void PeerSamples::fill(RouteNews& to) {
  using Kind = RouteNews::Kind;
  to.kind = static_cast<Kind>(1 + below(6));
  if (to.of_shard()) {
    to.shard = ShardId(static_cast<std::uint32_t>(number()));
    to.epoch = Epoch(number());
  }
  if (to.kind == Kind::kShardBegins || to.kind == Kind::kShardTold) return;
  to.tenant = TenantId(static_cast<std::uint32_t>(number()));
  to.text = filter();
  to.number = static_cast<std::uint32_t>(to.kind == Kind::kShareMembers ? number() : below(2));
}

void PeerSamples::fill(RouteBatch& to) {
  to.source_incarnation = number();
  to.follower_incarnation = number();
  to.number = number();
  to.after = number();
  to.first = number();
  to.last = number();
  to.anew = coin();
  to.complete = coin();
  to.news = some<RouteNews>();
}

void PeerSamples::fill(RouteBatchAnswer& to) {
  to = {.source_incarnation = number(), .number = number(), .version = number(), .gap = coin()};
}

}  // namespace stele::broker::wire
