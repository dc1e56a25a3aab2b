// Parts of entries and memberships as bytes, for the log on the disk and for messages between members. Pure.
#pragma once

#include "base/wire.h"
#include "raft/core/types.h"

namespace stele::raft {

void put(Writer& w, LogPoint point);
void put(Writer& w, const NodeSet& nodes);
void put(Writer& w, const Membership& who);
// Term, kind, and of a configuration its membership; neither index nor payload.
void put_head(Writer& w, const Entry& entry);

// What makes no sense fails the reader. No more is allocated than the input has bytes for.
LogPoint take_point(Reader& r);
NodeId take_node(Reader& r);
NodeSet take_nodes(Reader& r);  // ascending, each once
Membership take_membership(Reader& r);
bool take_bool(Reader& r);
void take_head(Reader& r, Entry& entry);

}  // namespace stele::raft
