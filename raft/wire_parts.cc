#include "raft/wire_parts.h"

#include <cstdint>
#include <memory>

namespace stele::raft {

void put(Writer& w, LogPoint point) {
  w.uvarint(point.term.value).uvarint(point.index.value);
}
LogPoint take_point(Reader& r) {
  const Term term{r.uvarint()};
  return {term, LogIndex(r.uvarint())};
}

NodeId take_node(Reader& r) {
  const std::uint64_t value = r.uvarint();
  if (value > UINT32_MAX) r.fail();
  return NodeId(static_cast<std::uint32_t>(value));
}

void put(Writer& w, const NodeSet& nodes) {
  w.uvarint(nodes.size());
  for (const NodeId node : nodes) w.uvarint(node.value);
}
NodeSet take_nodes(Reader& r) {
  NodeSet nodes;
  for (std::uint64_t left = r.uvarint(); left > 0 && r.ok(); --left) {
    const NodeId node = take_node(r);
    if (!nodes.empty() && node <= *nodes.rbegin()) r.fail();
    nodes.insert(nodes.end(), node);
  }
  return nodes;
}

bool take_bool(Reader& r) {
  const std::uint8_t value = r.u8();
  if (value > 1) r.fail();
  return value == 1;
}

void put(Writer& w, const Membership& who) {
  put(w, who.voters);
  put(w, who.voters_outgoing);
  put(w, who.learners);
  put(w, who.learners_next);
  w.u8(who.auto_leave ? 1 : 0);
}
Membership take_membership(Reader& r) {
  Membership who;
  who.voters = take_nodes(r);
  who.voters_outgoing = take_nodes(r);
  who.learners = take_nodes(r);
  who.learners_next = take_nodes(r);
  who.auto_leave = take_bool(r);
  return who;
}

void put_head(Writer& w, const Entry& entry) {
  w.uvarint(entry.term.value).u8(static_cast<std::uint8_t>(entry.kind));
  if (entry.kind == EntryKind::kConfiguration) put(w, *entry.membership);
}
void take_head(Reader& r, Entry& entry) {
  entry.term = Term(r.uvarint());
  const std::uint8_t kind = r.u8();
  if (kind > static_cast<std::uint8_t>(EntryKind::kEmpty)) r.fail();
  if (r.failed()) return;
  entry.kind = static_cast<EntryKind>(kind);
  if (entry.kind == EntryKind::kConfiguration)
    entry.membership = std::make_shared<const Membership>(take_membership(r));
}

}  // namespace stele::raft
