// What handlers share that read and write JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/result.h"
#include "protocols/http/message.h"

namespace stele::http {

using Json = nlohmann::ordered_json;

inline Response json_response(int status, const Json& body) {
  Response response;
  response.status = status;
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return response;
}

inline Error wrong_request(std::string what) {
  return Error{ErrorCode::kInvalidArgument, std::move(what)};
}

inline Response no_content() {
  Response response;
  response.status = 204;
  return response;
}

}  // namespace stele::http
