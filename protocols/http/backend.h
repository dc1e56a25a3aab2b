// What the HTTP interface works on, besides the node (node_info.h).
#pragma once

#include <functional>
#include <memory>

#include "broker/access.h"
#include "broker/administration.h"
#include "broker/api.h"
#include "model/ids.h"
#include "runtime/runtime.h"

namespace stele::http {

// Of the core of the listener, which all of it outlives.
struct Backend {
  runtime::Runtime& runtime;
  NodeId node;
  broker::Authorizer& authorizer;
  broker::Authenticator& authenticator;
  broker::Administration& administration;
  std::function<std::shared_ptr<const meta::MetaView>()> view;
  // Null: the node does not have that role, and does not answer about topics.
  broker::Broker* broker = nullptr;
};

inline Backend backend_of(broker::Broker& broker) {
  return {.runtime = broker.runtime(),
          .node = broker.node_id(),
          .authorizer = broker.authorizer(),
          .authenticator = broker.authenticator(),
          .administration = broker.administration(),
          .view = [&broker] { return broker.meta(); },
          .broker = &broker};
}

}  // namespace stele::http
