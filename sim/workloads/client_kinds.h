// The clients that a scenario can have, by name. A new workload gets its line here, and can be named in a
// scenario.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "sim/knobs.h"

namespace stele::sim {

struct Workload;

// One client, or what stands for several: a kind and its number.
struct ClientOfCase {
  std::string kind;
  std::uint32_t number = 0;
  friend auto operator<=>(const ClientOfCase&, const ClientOfCase&) = default;
};

// In the order in which they start.
std::span<const std::string_view> client_kind_names();
// How many of a kind there can be.
std::uint32_t most_clients(std::string_view kind);
// Whether a run with these knobs has any of them.
bool knobs_allow(std::string_view kind, const Knobs& knobs);
// Whether it has a host that other clients do not share.
bool is_stranger(std::string_view kind);
// What clients of a kind can show, besides what node_run.cc counts: the name of a floor, and of whom it is.
struct Showing {
  std::string_view name;
  std::string_view client;
};
std::span<const Showing> showings();
// Starts one on a core of a client's host; `client` is of a kind that there is.
void start_client(runtime::Scope& scope, runtime::Runtime& core, Workload& workload,
                  const ClientOfCase& client);

}  // namespace stele::sim
