// Writes the corpus of amqp_connection_fuzz: handshakes, and what clients do on channels.
//
//   bazel run -c opt //fuzz:make_amqp_connection_corpus -- $PWD/fuzz/corpus/amqp_connection

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/amqp/frame.h"
#include "protocols/amqp/method_codec.h"
#include "protocols/amqp/protocol_header.h"
#include "protocols/amqp/testing/method_text.h"

namespace {

using namespace stele::amqp;  // NOLINT: a program of its own

struct Said {
  std::uint16_t channel;
  const char* method;
};

constexpr std::uint8_t kOpen = 1, kHoldAnswers = 2, kHoldTasks = 4, kWindow = 8;

bool add(const std::filesystem::path& file, std::uint8_t how, std::uint8_t cut, std::string_view before,
         const std::vector<Said>& said) {
  std::string stream(before);
  for (const auto& [channel, method] : said) append_text_method(stream, channel, method);
  std::ofstream out(file, std::ios::binary);
  out.put(static_cast<char>(how)).put(static_cast<char>(cut));
  out.write(stream.data(), static_cast<std::streamsize>(stream.size()));
  out.close();
  return !out.fail();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s <folder>\n", argv[0]);
    return 1;
  }
  const std::filesystem::path folder(argv[1]);
  std::filesystem::create_directories(folder);
  std::string hello(kProtocolHeader);
  ConnectionStartOk start;
  start.mechanism = "PLAIN";
  start.response = std::string_view("\0guest\0guest", 12);
  bool ok = append_method(hello, 0, start);
  const std::vector<Said> open = {{0, "connection.tune-ok channel_max=9 frame_max=4096 heartbeat_s=1"},
                                  {0, "connection.open virtual_host=/"},
                                  {1, "channel.open"},
                                  {1, "channel.close"},
                                  {0, "connection.close"}};
  ok &= add(folder / "handshake", 0, 0, hello, open);
  ok &= add(folder / "handshake_in_pieces", kHoldTasks, 5, hello, open);
  const std::vector<Said> confirms = {{1, "confirm.select"},
                                      {1, "basic.publish routing_key=q body=x"},
                                      {1, "basic.publish routing_key=nowhere mandatory body=y"},
                                      {2, "basic.publish routing_key=q body=x*5000"},
                                      {1, "queue.declare queue=full"},
                                      {1, "basic.publish routing_key=full body=z"}};
  ok &= add(folder / "confirms", kOpen, 0, "", confirms);
  ok &= add(folder / "confirms_later", kOpen | kHoldAnswers | kWindow, 30, "", confirms);
  const std::vector<Said> consume = {{1, "queue.declare queue=r"},
                                     {1, "basic.qos prefetch_count=2"},
                                     {1, "basic.consume queue=r consumer_tag=t"},
                                     {2, "basic.publish routing_key=r body=1"},
                                     {2, "basic.publish routing_key=r body=2"},
                                     {2, "basic.publish routing_key=r body=3"},
                                     {1, "basic.nack delivery_tag=1"},
                                     {1, "basic.ack delivery_tag=0 multiple"},
                                     {1, "basic.recover requeue"},
                                     {1, "basic.cancel consumer_tag=t"},
                                     {1, "basic.get queue=r"},
                                     {1, "queue.delete queue=r"},
                                     {1, "basic.ack delivery_tag=99"},
                                     {1, "channel.close-ok"}};
  ok &= add(folder / "consume", kOpen, 0, "", consume);
  ok &= add(folder / "consume_later", kOpen | kHoldTasks, 100, "", consume);
  ok &= add(folder / "transactions", kOpen, 0, "",
            {{3, "tx.select"},
             {3, "basic.publish routing_key=q body=x"},
             {3, "tx.rollback"},
             {3, "basic.publish routing_key=q body=x"},
             {3, "tx.commit"},
             {3, "confirm.select"}});
  ok &= add(folder / "declare", kOpen, 0, "",
            {{1, "exchange.declare exchange=e type=headers"},
             {1, "queue.declare exclusive arguments={x-max-length=1}"},
             {1, "queue.bind exchange=e arguments={a=1,x-match=any}"},
             {1, "exchange.bind destination=e source=amq.topic routing_key=#"},
             {1, "basic.publish exchange=amq.topic routing_key=a.b properties.headers={a=1} body=x"},
             {1, "exchange.unbind destination=e source=amq.topic routing_key=#"},
             {1, "exchange.delete exchange=e if_unused"},
             {1, "queue.purge"}});
  ok &= add(folder / "replies", kOpen, 0, "",
            {{1, "basic.consume queue=amq.rabbitmq.reply-to no_ack consumer_tag=r"},
             {1, "basic.publish routing_key=q properties.reply_to=amq.rabbitmq.reply-to body=x"},
             {1, "basic.cancel consumer_tag=r"}});
  ok &= add(folder / "secrets_and_ends", kOpen, 0, "",
            {{0, "connection.update-secret new_secret=s reason=r"},
             {1, "channel.flow active"},
             {2, "access.request"},
             {2, "basic.publish immediate body=x"},
             {0, "connection.close-ok"}});
  if (!ok) std::fprintf(stderr, "cannot write in %s\n", argv[1]);
  return ok ? 0 : 1;
}
