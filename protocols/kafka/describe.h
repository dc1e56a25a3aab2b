// How a message says what it consists of.
//
//   template <class Archive> void describe(Archive& a, FetchRequest& m);
//
// names the fields that exist in version a.version(), in wire order: a.field(…) for what is never null,
// a.nullable(…) for an optional that may be, and a few rarer forms (see Encoder). The tagged fields of a
// flexible version (KIP-482) follow in
//
//   template <class Archive> void describe_tags(Archive& t, FetchRequest& m);
//
// each with its tag, in ascending order. Archives: Encoder, Decoder, WalkArchive. A description must call the
// same functions for all of them; it never asks which one it has.
#pragma once

namespace stele::kafka {

// Most structs have no tagged field that we know.
template <class Archive, class T>
void describe_tags(Archive&, T&) {}

}  // namespace stele::kafka
