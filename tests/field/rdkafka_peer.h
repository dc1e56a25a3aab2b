// librdkafka as it comes, for coroutines on one core: its own threads do the network, and it is asked again
// and again what there is to tell, without waiting.
//
// A peer belongs to one core. Destroying it waits for its threads, so end() is for everywhere but the end of
// a run.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::field {

// Names and values of its configuration.
using RdSettings = std::map<std::string, std::string>;

class RdKafkaPeer {
 public:
  // What was sent, and what became of it.
  struct Delivered {
    std::uint64_t number;
    std::string problem;       // empty: it is acknowledged
    std::int64_t offset = -1;  // where it is, if that was told
  };
  struct Record {
    std::string topic;
    std::int32_t partition;
    std::int64_t offset;
    std::string_view value;
  };
  // On the core, within poll().
  struct Handlers {
    std::function<void(const Delivered&)> delivered;
    std::function<void(const Record&)> received;
    std::function<void(std::int32_t partition, bool owned)> assigned;  // or not any more
    std::function<void(std::int32_t partition, std::int64_t offset, bool accepted)> committed;
  };

  // `log`: a file that its complaints are added to. Errors: kInvalidArgument, of a setting.
  static Result<std::unique_ptr<RdKafkaPeer>> make(bool producer, const RdSettings& settings,
                                                   Handlers handlers, const std::string& log);
  ~RdKafkaPeer();
  RdKafkaPeer(const RdKafkaPeer&) = delete;
  RdKafkaPeer& operator=(const RdKafkaPeer&) = delete;
  // Its threads end on another one. Not before it may_end().
  static runtime::Task<void> end(runtime::Runtime& runtime, std::unique_ptr<RdKafkaPeer> peer);

  // Calls handlers for what there is, up to so many of them.
  void poll(int most);

  // ---- a producer
  // False: it does not take it now, and will not send it.
  bool produce(const std::string& topic, std::int32_t partition, std::string_view value,
               std::uint64_t number);
  // What is not acknowledged is given up, and told as delivered with a problem, where that is not known to be
  // untrue.
  void give_up();
  // After which it does nothing any more.
  std::optional<std::string> fatal() const;

  // ---- a consumer
  Result<void> subscribe(const std::string& topic);
  // Asked for; committed() is called.
  void commit(const std::string& topic, std::int32_t partition, std::int64_t offset);
  // Version 2.0.2 aborts when a member with `cooperative-sticky` is destroyed that has joined and was not yet
  // told what it owns (its issue 4312, mended in 2.3.0). True once it was told, if only that that is nothing.
  bool may_end() const { return !inside_->fragile; }
  // It says goodbye, which takes some polls.
  void begin_close();
  bool closed() const;

 private:
  // What it calls back with.
  struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct Inside {
    Handlers handlers;
    std::unique_ptr<std::FILE, FileCloser> log;
    bool fragile = false;
  };
  RdKafkaPeer() = default;
  static void on_delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* inside);
  static void on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t error,
                           rd_kafka_topic_partition_list_t* partitions, void* inside);
  static void on_committed(rd_kafka_t*, rd_kafka_resp_err_t error,
                           rd_kafka_topic_partition_list_t* partitions, void* inside);
  static void on_log(const rd_kafka_t* rk, int level, const char* facility, const char* text);

  std::unique_ptr<Inside> inside_;
  rd_kafka_t* rk_ = nullptr;
  bool producer_ = false;
  bool closing_ = false;
};

}  // namespace stele::field
