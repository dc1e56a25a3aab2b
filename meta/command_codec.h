// Commands and answers as bytes: FlatBuffers, docs/formats/meta-commands.md. Pure.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "meta/commands.h"

namespace stele::meta {

struct LogEntry {
  Envelope envelope;
  Command command;
};
std::string encode_command(const Envelope& envelope, const Command& command);
// kUnsupported for a command that only a newer version knows, kMalformed for anything else that is none.
Result<LogEntry> decode_command(std::string_view bytes);

using Answer = std::variant<ClusterInfo, Node, std::vector<Shard>, SealAndOpen::Answer, TrimChain::Answer,
                            std::optional<Snapshot>, Topic, ProducerIds, Tenant, User, AclRule, Token>;
std::string encode_answer(const Result<Answer>& answer);
// The answer, or the error that the command was answered with, or kMalformed.
Result<Answer> decode_answer(std::string_view bytes);

template <class C>
Result<typename C::Answer> decode_answer_to(std::string_view bytes) {
  STELE_TRY(Answer answer, decode_answer(bytes));
  if (auto* wanted = std::get_if<typename C::Answer>(&answer)) return std::move(*wanted);
  return error(ErrorCode::kMalformed, "an answer of the meta service is not of its command's kind");
}

}  // namespace stele::meta
