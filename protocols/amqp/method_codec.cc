#include "protocols/amqp/method_codec.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <variant>

#include "base/assert.h"
#include "model/utf8.h"

namespace stele::amqp {

namespace {

struct Entry {
  MethodInfo info;
  Decoded<Method> (*decode)(std::string_view payload);
};

template <class M>
Decoded<Method> decode_as(std::string_view payload) {
  Decoded<M> method = decode<M>(payload);
  if (!method) return std::unexpected(std::move(method).error());
  return Method(*std::move(method));
}

template <class... Ms>
constexpr auto entries_of(std::type_identity<std::variant<Ms...>>) {
  return std::array<Entry, sizeof...(Ms)>{Entry{Ms::kInfo, &decode_as<Ms>}...};
}

constexpr auto kMethods = entries_of(std::type_identity<Method>());

constexpr MethodId id_of(const Entry& entry) {
  return entry.info.id();
}
static_assert(std::ranges::adjacent_find(kMethods, std::ranges::greater_equal(), id_of) == kMethods.end());

const Entry* find_entry(std::uint16_t class_id, std::uint16_t method) {
  const MethodId id = method_id(class_id, method);
  const auto at = std::ranges::lower_bound(kMethods, id, {}, id_of);
  return at != kMethods.end() && at->info.id() == id ? &*at : nullptr;
}

Decoded<const Entry*> peek_entry(std::string_view payload) {
  Reader ids(payload);
  const std::uint16_t class_id = ids.u16_be(), method = ids.u16_be();
  if (ids.failed()) {
    return protocol_error(ReplyCode::kFrameError, "a method frame is too short to name its method");
  }
  if (const Entry* entry = find_entry(class_id, method)) return entry;
  return std::unexpected(ProtocolError{
      ReplyCode::kCommandInvalid,
      "no method has number " + std::to_string(class_id) + "." + std::to_string(method), class_id, method});
}

}  // namespace

const MethodInfo* find_method(std::uint16_t class_id, std::uint16_t method) {
  const Entry* entry = find_entry(class_id, method);
  return entry ? &entry->info : nullptr;
}

Decoded<const MethodInfo*> peek_method(std::string_view payload) {
  const auto entry = peek_entry(payload);
  if (!entry) return std::unexpected(entry.error());
  return &(*entry)->info;
}

void ArgumentReader::fail(const char* name, ReplyCode code, std::string why) {
  if (reader_.failed()) return;
  reader_.fail();
  field_ = name;
  code_ = code;
  why_ = std::move(why);
}

void ArgumentReader::short_text(const char* name, std::string_view& value) {
  short_bytes(name, value);
  if (!is_clean_utf8(value)) fail(name, ReplyCode::kFrameError, "is not clean UTF-8");
}

void ArgumentReader::table(const char* name, TableView& value) {
  std::string_view encoded;
  long_text(name, encoded);
  if (encoded.empty()) return;
  auto table = TableView::parse(encoded);
  if (!table) return fail(name, table.error().code, std::move(table.error().text));
  value = *table;
}

ProtocolError ArgumentReader::error(std::string_view what) const {
  std::string text(what);
  if (reader_.ok()) {
    text += ": there are bytes behind it";
  } else {
    text.append(": ")
        .append(field_ ? field_ : "it")
        .append(": ")
        .append(why_.empty() ? "is cut short" : why_);
  }
  return {code_, std::move(text), 0, 0};
}

Decoded<Method> decode_method(std::string_view payload) {
  const auto entry = peek_entry(payload);
  if (!entry) return std::unexpected(entry.error());
  return (*entry)->decode(payload);
}

const MethodInfo& info(const Method& method) {
  return kMethods[method.index()].info;
}

bool finish_frame(std::string& out, std::size_t start, bool ok) {
  STELE_ASSERT(out.size() >= start + kFrameHeadBytes);
  const std::size_t size = out.size() - start - kFrameHeadBytes;
  if (!ok || size > std::numeric_limits<std::uint32_t>::max()) {
    out.resize(start);
    return false;
  }
  Writer writer(out);
  writer.patch_be(start + 3, static_cast<std::uint32_t>(size));
  writer.u8(static_cast<std::uint8_t>(kFrameEnd));
  return true;
}

bool append_method(std::string& out, std::uint16_t channel, const Method& method) {
  return std::visit([&](const auto& m) { return append_method(out, channel, m); }, method);
}

}  // namespace stele::amqp
