// Retained messages for new subscriptions: what a core's shards keep is looked up a page at a time, and what
// is for a persistent session is queued there.
#include <algorithm>
#include <utility>

#include "base/marks.h"
#include "base/mutants.h"
#include "broker/message_batch.h"
#include "broker/shard.h"

namespace stele::broker {

using runtime::Task;

namespace {

// Calls `use(message)` for the one that a retained message's batch holds.
template <class Use>
void with_message(const Bytes& batch, std::string_view address, Use use) {
  for_each_message(batch, address, false,
                   [&](const MessageView& message, const Bytes&, std::uint32_t) { use(message); });
}

bool is_wanted(RetainedAsk::Which which, std::uint8_t qos) {
  return which == RetainedAsk::Which::kAll || (which == RetainedAsk::Which::kQueued) == (qos > 0);
}

}  // namespace

// ---- looking up -----------------------------------------------------------------------------------------

// One page, however many shards it is of.
struct Shard::RetainedSearch {
  RetainedSearch(const BrokerOptions& limits, const RetainedAsk& asked)
      : options(limits),
        ask(asked),
        literal(std::string_view(asked.filter).substr(0, asked.filter.find_first_of("+#"))) {
    trie.insert(ask.filter, 0, 0);
  }
  bool exact() const { return literal.size() == ask.filter.size(); }
  bool full() const {
    return looked_at >= options.retained_page_looked_at ||
           page.messages.size() >= options.retained_page_messages || bytes >= options.retained_page_bytes;
  }
  void look_at(std::string_view address, const Bytes& batch) {
    ++looked_at;
    if (!trie.matches(address)) return;
    with_message(batch, address, [&](const MessageView& message) {
      if (!is_wanted(ask.which, message.qos)) return;
      page.messages.push_back({Bytes::copy(address), batch, message.qos});
      bytes += address.size() + batch.size();
    });
  }

  const BrokerOptions& options;
  const RetainedAsk& ask;
  const std::string_view literal;  // what every address begins with that matches
  FilterTrie trie;
  RetainedPage page;
  std::size_t looked_at = 0;
  std::size_t bytes = 0;
};

// What is looked at must be committed before it is told: up to where, is said.
Lsn Shard::look_for_retained(RetainedSearch& search) const {
  const TenantId tenant = search.ask.tenant;
  std::string_view literal = search.literal;
  const auto& kept = state_.retained();
  if (search.exact()) {
    const auto there = kept.find({tenant, search.ask.filter});
    if (there != kept.end()) search.look_at(there->first.second, there->second.batch);
    return retained_end_;
  }
  // `a/#` also matches `a`, which sorts before `a/`.
  if (literal.ends_with('/')) literal.remove_suffix(1);
  const RetainedPlace& from = search.ask.from;
  const bool goes_on = from.shard == id_ && !from.behind.empty();
  auto at =
      goes_on ? kept.upper_bound({tenant, from.behind}) : kept.lower_bound({tenant, std::string(literal)});
  const std::string* last = goes_on ? &from.behind : nullptr;
  for (; at != kept.end(); ++at) {
    const auto& [owner, address] = at->first;
    if (owner != tenant || !std::string_view(address).starts_with(literal)) break;
    if (search.full()) {
      STELE_MARK("shard: retained messages of more than one page");
      search.page.more = true;
      search.page.next = {id_, last ? *last : std::string()};
      break;
    }
    search.look_at(address, at->second.batch);
    last = &address;
  }
  return retained_end_;
}

// Told once all is committed that was looked at: that there is one, and that there is none.
Task<Result<RetainedPage>> Shard::retained(Core& there, RetainedAsk ask, std::vector<ShardId> shards) {
  RetainedSearch search(there.options(), ask);
  struct Seen {
    std::shared_ptr<Shard> shard;
    Lsn end;
  };
  std::vector<Seen> seen;
  for (const ShardId id : shards) {
    if (search.page.more) break;
    if (id < ask.from.shard) continue;
    std::shared_ptr<Shard> shard = there.shard_ptr(id);
    if (!shard) co_return std::unexpected(starting(id));
    const Lsn end = shard->look_for_retained(search);
    seen.push_back({std::move(shard), end});
  }
  // All were looked at before the first is waited for: they commit side by side.
  for (const auto& [shard, end] : seen) {
    if (!mutant(Mutant::kRetainedBeforeCommit) && !co_await shard->committed(end))
      co_return std::unexpected(shard->not_committed());
  }
  // Without a lease it may be another one's since, who has newer ones.
  if (!there.may_accept()) co_return std::unexpected(there.not_accepting());
  co_return std::move(search.page);
}

// ---- into the queue of a persistent session -------------------------------------------------------------

// From its subscription until finish_retained() it is noted what its queue gets, and nothing is sent: SUBACK
// comes first.
void Shard::begin_retained(Connected& connected) {
  if (connected.notes) return;
  connected.notes = std::make_unique<RetainedNotes>();
  ++noting_;
}

void Shard::finish_retained(Connected& connected) {
  if (!connected.notes) return;
  connected.notes.reset();
  --noting_;
  mark_dirty(connected);
}

void Shard::finish_retained(std::uint64_t attachment) {
  if (Connected* connected = connection(attachment)) finish_retained(*connected);
}

// It has just been applied.
void Shard::note_retained(const storage::LogEntry& entry, const EntryView& view) {
  if (view.kind != EntryKind::kData || !view.data.retain || view.data.kafka_batch || view.data.directed)
    return;
  for (const std::uint32_t number : applied_.sessions) {
    const auto found = attachment_of_.find(number);
    if (found == attachment_of_.end()) continue;
    const Connected* connected = connection(found->second);
    if (!connected || !connected->notes) continue;
    with_message(batch_bytes(entry, view.data), view.data.address,
                 [&](const MessageView& message) { connected->notes->note(message); });
  }
}

Task<Result<void>> Shard::queue_retained(Core& there, ShardId id, std::uint64_t attachment,
                                         std::vector<RetainedMessage> messages, SubscribeRequest request) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  STELE_CO_CHECK(shard->writable());
  const Connected* connected = shard->connection(attachment);
  if (!connected) co_return error(ErrorCode::kClosed, "the session has ended");
  for (const RetainedMessage& message : messages) {
    bool overtaken = false;
    if (connected->notes) {
      with_message(message.batch, message.address,
                   [&](const MessageView& view) { overtaken = connected->notes->overtaken(view); });
    }
    if (overtaken) {
      STELE_MARK("shard: a retained message left out, a newer one is queued");
      continue;
    }
    Data data;
    data.tenant = connected->key.first;
    data.retain = true;
    data.qos = message.qos;
    data.address = message.address;
    data.batch = message.batch;
    DataEntryParts parts;
    parts.time = shard->now();
    parts.directed =
        DirectedTo{connected->key.second, std::min(message.qos, request.qos), request.subscription_id};
    shard->append(encode_data(data, parts));
  }
  if (!co_await shard->committed(shard->state_.next())) co_return std::unexpected(shard->not_committed());
  co_return Result<void>();
}

}  // namespace stele::broker
