// Record batches as a hostile producer may send them, and what is read out of them. The CRC is mended first:
// a fuzzer cannot compute it, and an attacker can.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "model/message.h"
#include "model/record_batch.h"
#include "model/record_batch_builder.h"

namespace {

using namespace stele;

constexpr std::size_t kLimit = 1 << 20;

// Whatever record it is, its message goes through the stored form unchanged from there on.
void read_and_write_again(const RecordView& record) {
  RecordMessage read = message_of(record, "the/topic");
  std::string bytes;
  RecordBatchBuilder builder(bytes, {});
  append_message(builder, read.message, {});
  STELE_ASSERT(builder.finish().has_value());
  auto batch = parse_record_batch(bytes);
  STELE_ASSERT(batch.has_value() && check_crc(*batch).has_value());
  RecordIterator it(batch->header, batch->records());
  STELE_ASSERT(it.next());
  RecordMessage again = message_of(it.record(), "another/topic");
  STELE_ASSERT(again.message.address == read.message.address &&
               again.message.payload == read.message.payload);
  STELE_ASSERT(again.message.qos == read.message.qos &&
               again.message.content_type == read.message.content_type);
  auto first = read.message.user_properties.cursor();
  auto second = again.message.user_properties.cursor();
  while (auto property = first.next()) STELE_ASSERT(property == second.next());
  STELE_ASSERT(!second.next());
}

void look_into(const RecordBatchView& batch) {
  std::string scratch;
  ProduceCheck check;
  check.decompressed_limit = kLimit;
  bool good = check_produced_batch(batch, check, scratch).has_value();
  auto records = records_of(batch, kLimit, scratch);
  STELE_ASSERT(scratch.size() <= kLimit);
  if (!records) {
    STELE_ASSERT(!good);
    return;
  }
  RecordIterator it(batch.header, *records);
  std::int32_t count = 0;
  while (it.next()) {
    if (count++ < 16) read_and_write_again(it.record());
  }
  if (good) STELE_ASSERT(it.status().has_value() && count == batch.header.record_count);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string input(reinterpret_cast<const char*>(data), size);
  std::size_t at = 0;
  while (at < input.size()) {
    auto batch = parse_record_batch(std::string_view(input).substr(at));
    if (!batch) break;
    std::size_t length = batch->bytes.size();
    store_be(input.data() + at + 17, crc32c(batch->bytes.substr(21)));
    look_into(parse_record_batch(std::string_view(input).substr(at)).value());
    at += length;
  }
  RecordBatchSplitter splitter(input);
  while (true) {
    auto next = splitter.next();
    if (!next || !*next) break;
  }
  return 0;
}
