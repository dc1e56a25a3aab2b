#include "protocols/amqp/assembler.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/assert.h"
#include "protocols/amqp/method_codec.h"

namespace stele::amqp {

namespace {

constexpr std::uint64_t kFirstBlock = 64 << 10;

}  // namespace

std::unexpected<ProtocolError> Assembler::fail(ReplyCode code, std::string text) const {
  ProtocolError error{code, std::move(text), 0, 0};
  if (method_) {
    error.class_id = method_->class_id;
    error.method_id = method_->method;
  }
  return std::unexpected(std::move(error));
}

Decoded<Assembler::Step> Assembler::on_frame(const Frame& frame, const Bytes& block) {
  STELE_ASSERT(frame.type != FrameType::kHeartbeat && frame.channel == channel_);
  if (wants_ == Wants::kMethod) clear();
  switch (wants_) {
    case Wants::kMethod:
      if (frame.type != FrameType::kMethod) {
        return fail(ReplyCode::kUnexpectedFrame, "expected a method frame, got content");
      }
      return on_method(frame, block);
    case Wants::kHeader:
      if (frame.type != FrameType::kHeader) {
        return fail(ReplyCode::kUnexpectedFrame, "expected a content header");
      }
      return on_header(frame, block);
    case Wants::kBody:
      break;
  }
  if (frame.type != FrameType::kBody) return fail(ReplyCode::kUnexpectedFrame, "expected a content body");
  return on_body(frame, block);
}

Decoded<Assembler::Step> Assembler::on_method(const Frame& frame, const Bytes& block) {
  const auto method = peek_method(frame.payload);
  if (!method) return std::unexpected(method.error());
  method_ = *method;
  arguments_ = frame.payload;
  if (side_ == Side::kServer ? !method_->to_server() : !method_->to_client()) {
    return fail(ReplyCode::kCommandInvalid, std::string(method_->name) + " is not to be sent to this side");
  }
  if (method_->class_id == kConnectionClass && channel_ != 0) {
    return fail(ReplyCode::kCommandInvalid, std::string(method_->name) + " belongs on channel 0");
  }
  if (method_->class_id != kConnectionClass && channel_ == 0) {
    return fail(ReplyCode::kChannelError, std::string(method_->name) + " on channel 0");
  }
  if (!method_->has_content()) return Step::kMethod;
  method_block_ = block.slice(frame.payload);
  wants_ = Wants::kHeader;
  return Step::kMore;
}

Decoded<Assembler::Step> Assembler::on_header(const Frame& frame, const Bytes& block) {
  auto header = parse_content_header(frame.payload);
  if (!header) return fail(header.error().code, std::move(header.error().text));
  header_ = *header;
  if (header_.class_id != method_->class_id) {
    return fail(ReplyCode::kUnexpectedFrame, "expected a content header of class " +
                                                 std::to_string(method_->class_id) + ", got one of class " +
                                                 std::to_string(header_.class_id));
  }
  if (header_.body_size > max_body_bytes_) {
    return fail(ReplyCode::kPreconditionFailed, "message size " + std::to_string(header_.body_size) +
                                                    " is larger than the maximum of " +
                                                    std::to_string(max_body_bytes_));
  }
  header_block_ = block.slice(frame.payload);
  wants_ = header_.body_size == 0 ? Wants::kMethod : Wants::kBody;
  return header_.body_size == 0 ? Step::kMessage : Step::kMore;
}

Decoded<Assembler::Step> Assembler::on_body(const Frame& frame, const Bytes& block) {
  const std::uint64_t missing = header_.body_size - gathered_bytes_;
  if (frame.payload.size() > missing) {
    return fail(ReplyCode::kFrameError, "a content body is longer than its header said");
  }
  if (frame.payload.size() == header_.body_size) {
    body_ = block.slice(frame.payload);
  } else {
    gather(frame.payload);
    if (frame.payload.size() < missing) return Step::kMore;
    body_ = std::exchange(gathered_, {}).freeze(std::exchange(gathered_bytes_, 0));
  }
  wants_ = Wants::kMethod;
  return Step::kMessage;
}

void Assembler::gather(std::string_view part) {
  if (part.empty()) return;
  const std::size_t needed = gathered_bytes_ + part.size();
  if (needed > gathered_.capacity()) {
    const std::uint64_t room = std::max<std::uint64_t>(kFirstBlock, std::uint64_t{needed} * 2);
    Buffer larger(static_cast<std::size_t>(std::min<std::uint64_t>(header_.body_size, room)));
    if (gathered_bytes_ > 0) std::memcpy(larger.data(), gathered_.data(), gathered_bytes_);
    gathered_ = std::move(larger);
  }
  std::memcpy(gathered_.data() + gathered_bytes_, part.data(), part.size());
  gathered_bytes_ = needed;
}

void Assembler::pause() {
  const auto pins_others = [](const Bytes& part) { return part.held() > part.size(); };
  if (wants_ == Wants::kMethod) return;
  if (pins_others(method_block_)) {
    method_block_ = Bytes::copy(method_block_);
    arguments_ = method_block_;
  }
  if (wants_ == Wants::kBody && pins_others(header_block_)) {
    const std::size_t fixed = header_block_.size() - header_.properties.size();
    header_block_ = Bytes::copy(header_block_);
    header_.properties = header_block_.view().substr(fixed);
  }
}

void Assembler::clear() {
  wants_ = Wants::kMethod;
  method_ = nullptr;
  arguments_ = {};
  method_block_ = header_block_ = body_ = {};
  header_ = {};
  gathered_ = {};
  gathered_bytes_ = 0;
}

}  // namespace stele::amqp
