// One HTTP request over a connection of its own: what the command line asks a node with.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "protocols/http/message.h"
#include "protocols/http/parser.h"
#include "runtime/dial.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::http {

struct FetchLimits {
  ParserLimits parser{.body_bytes = 64 << 20};
  runtime::Duration timeout = std::chrono::seconds(30);  // of the whole
};

// The response, whatever its status. An error is one of the connection, and names the address.
runtime::Task<Result<Response>> send_request(runtime::Runtime& runtime, runtime::Endpoint to, Request request,
                                             FetchLimits limits = {}, runtime::Dial dial = {});

}  // namespace stele::http
