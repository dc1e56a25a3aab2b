// MQTT load generator: one thread, epoll, frames encoded once, so that it costs far less than any broker.
//
//   mqttload --port P [--mode pair|fanin|fanout|shared|pub|each|idle] [--pubs N --subs N] [--qos 0|1|2]
//   [--size BYTES]
//            [--rate MESSAGES_PER_S] [--window N] [--ahead N] [--single] [--ver 4|5] [--persist]
//            [--warm S --dur S] [--pid BROKER] [--json]
//
// pair: publisher i to subscriber i; fanin, fanout: all on one topic; shared: the subscribers are one $share
// group; pub: no subscribers; each: every subscriber has a topic of its own, and each publisher sends to one
// after the other (for the memory of many clients); idle: --subs clients that only connect. Without --rate it
// sends as fast as the broker takes it, bounded by --window unacknowledged messages per publisher (QoS 1, 2)
// and --ahead messages in all not yet received (20,000, but 2 MiB), so that it measures the broker and not a
// growing queue. With --single each message has a send() of its own. Latency runs from the moment at which a
// message was due to be sent: a broker that stalls is charged for what had to wait.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tools/bench/histogram.h"
#include "tools/bench/process_stats.h"

namespace stele::bench {
namespace {

struct Options {
  std::string host = "127.0.0.1";
  std::string mode = "pair";
  std::string topic = "bench/t";
  int port = 1883;
  int version = 4;
  int size = 100;
  int qos = 0;
  int pubs = 1;
  int subs = 1;
  int window = 500;
  std::uint64_t ahead = 0;
  double rate = 0;
  double warm_s = 2;
  double measure_s = 8;
  bool single = false;
  bool persist = false;
  bool json = false;
  int pid = 0;
};

std::uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "mqttload: %s\n", what.c_str());
  std::exit(1);
}

struct Counters {
  std::uint64_t sent = 0;
  std::uint64_t acked = 0;
  std::uint64_t received = 0;
  std::uint64_t duplicates = 0;
};

struct Connection {
  enum class State : std::uint8_t { kConnecting, kConnack, kSuback, kReady };

  int fd = -1;
  State state = State::kConnecting;
  bool publishes = false;
  bool wants_write = true;
  std::string client_id;
  std::string topic;
  std::string output;
  std::size_t written = 0;
  std::vector<unsigned char> input;
  std::size_t filled = 0;

  // Publishers only.
  std::string frame;
  std::size_t id_at = 0;
  std::size_t stamp_at = 0;
  std::size_t number_at = 0;  // of the topic's number, with mode each
  std::uint16_t next_id = 0;
  int in_flight = 0;
  std::vector<std::uint64_t> due;  // by packet identifier, 0 if it is free
};

void put16(std::string& out, std::size_t n) {
  out += static_cast<char>(n >> 8);
  out += static_cast<char>(n);
}

void put_text(std::string& out, std::string_view text) {
  put16(out, text.size());
  out += text;
}

std::string packet(int first, const std::string& body) {
  std::string out(1, static_cast<char>(first));
  std::size_t n = body.size();
  do {
    out += static_cast<char>((n & 127) | (n > 127 ? 128 : 0));
    n >>= 7;
  } while (n > 0);
  return out + body;
}

std::string encode_connect(const Options& options, const Connection& c) {
  std::string body;
  put_text(body, "MQTT");
  body += static_cast<char>(options.version);
  body += static_cast<char>(options.persist ? 0 : 2);
  put16(body, 300);
  if (options.version == 5) {
    std::string properties("\x21\xff\xff", 3);  // receive maximum
    if (options.persist) properties += std::string("\x11\x00\x00\x0e\x10", 5);
    body += static_cast<char>(properties.size());
    body += properties;
  }
  put_text(body, c.client_id);
  return packet(0x10, body);
}

std::string encode_subscribe(const Options& options, const Connection& c) {
  std::string body;
  put16(body, 1);
  if (options.version == 5) body += '\0';
  put_text(body, options.mode == "shared" ? "$share/g/" + c.topic : c.topic);
  body += static_cast<char>(options.qos);
  return packet(0x82, body);
}

// The number of a topic, always as long.
constexpr std::size_t kDigits = 6;
std::string digits(std::uint64_t number) {
  std::string text = std::to_string(number);
  return std::string(kDigits - std::min(kDigits, text.size()), '0') + text;
}

void encode_frame(const Options& options, Connection& c) {
  std::string body;
  put_text(body, c.topic);
  if (options.qos > 0) put16(body, 0);
  if (options.version == 5) body += '\0';
  for (int i = 0; i < options.size; ++i) body += static_cast<char>('a' + i % 26);
  c.frame = packet(0x30 | options.qos << 1, body);
  c.stamp_at = c.frame.size() - static_cast<std::size_t>(options.size);
  c.id_at = c.stamp_at - (options.version == 5 ? 1 : 0) - 2;
  c.number_at = c.stamp_at - (options.version == 5 ? 1 : 0) - (options.qos > 0 ? 2 : 0) - kDigits;
  if (options.qos > 0) c.due.resize(65536);
}

class Load {
 public:
  explicit Load(Options options) : options_(std::move(options)), epoll_(epoll_create1(0)) {
    each_ = options_.mode == "each";
    if (options_.mode == "pub") options_.subs = 0;
    idle_ = options_.mode == "idle";
    if (idle_) options_.pubs = 0;
    if (each_ && options_.subs < 1) fail("--mode each wants --subs");
    if (options_.mode == "pair") options_.subs = options_.pubs;
    if (idle_) return;
    copies_ = options_.mode == "fanout" || options_.mode == "fanin" ? options_.subs : options_.subs > 0;
  }

  int run() {
    if (options_.pid > 0) rss_before_kib_ = resident_kib(options_.pid);
    const std::uint64_t began = now_ns();
    for (int i = 0; i < options_.subs; ++i) {
      open(i, false);
      // No more at a time than a listener's backlog holds.
      while (i + 1 - ready_ >= kConnecting) turn(10);
    }
    while (ready_ < options_.subs) turn(10);
    connected_per_s_ = static_cast<double>(options_.subs) * 1e9 / static_cast<double>(now_ns() - began);
    for (int i = 0; i < options_.pubs; ++i) open(i, true);
    while (ready_ < options_.subs + options_.pubs) turn(10);

    started_ = now_ns();
    publish_for(options_.warm_s);
    measuring_ = true;
    const Counters before = counters_;
    const double cpu_before = options_.pid > 0 ? cpu_seconds(options_.pid) : 0;
    const double own_before = own_cpu();
    const std::uint64_t from = now_ns();
    publish_for(options_.measure_s);
    const double seconds = static_cast<double>(now_ns() - from) / 1e9;
    const double cpu = options_.pid > 0 ? cpu_seconds(options_.pid) - cpu_before : 0;
    const double own = own_cpu() - own_before;
    const Counters after = counters_;
    measuring_ = false;
    receive_the_rest();
    if (options_.pid > 0) rss_after_kib_ = resident_kib(options_.pid);
    return report(before, after, seconds, cpu, own);
  }

 private:
  static double own_cpu() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  }

  void open(int number, bool publishes) {
    auto c = std::make_unique<Connection>();
    c->publishes = publishes;
    c->client_id = "load-" + std::string(publishes ? "p" : "s") + std::to_string(number);
    c->topic = options_.topic;
    if (options_.mode == "pair" || each_) c->topic += "/" + digits(static_cast<std::uint64_t>(number));
    c->input.resize(each_ || idle_ ? 4096 : 262144);
    if (publishes) encode_frame(options_, *c);
    c->output = encode_connect(options_, *c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
    if (inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1)
      fail("no IPv4 address: " + options_.host);
    if (connect(c->fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 && errno != EINPROGRESS) {
      fail(std::string("connect: ") + std::strerror(errno));
    }
    epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.ptr = c.get()}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, c->fd, &event);
    if (publishes) publishers_.push_back(c.get());
    connections_.push_back(std::move(c));
  }

  void watch(Connection& c, bool wants_write) {
    if (c.wants_write == wants_write) return;
    c.wants_write = wants_write;
    epoll_event event{.events = EPOLLIN | (wants_write ? EPOLLOUT : 0U), .data = {.ptr = &c}};
    epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
  }

  void flush(Connection& c) {
    while (c.written < c.output.size()) {
      const ssize_t n = send(c.fd, c.output.data() + c.written, c.output.size() - c.written, MSG_NOSIGNAL);
      if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return watch(c, true);
      if (n < 0) fail(c.client_id + ": send: " + std::strerror(errno));
      c.written += static_cast<std::size_t>(n);
    }
    c.output.clear();
    c.written = 0;
    if (c.state == Connection::State::kConnecting) c.state = Connection::State::kConnack;
    watch(c, false);
  }

  void receive(Connection& c) {
    const ssize_t n = recv(c.fd, c.input.data() + c.filled, c.input.size() - c.filled, 0);
    if (n == 0) fail(c.client_id + ": closed by the broker");
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail(c.client_id + ": recv: " + std::strerror(errno));
    c.filled += static_cast<std::size_t>(n);
    std::size_t at = 0;
    while (c.filled - at >= 2) {
      std::size_t body = at + 1;
      std::size_t length = 0;
      bool complete = false;
      for (int shift = 0; body < c.filled && shift < 28 && !complete; shift += 7) {
        length |= std::size_t{c.input[body] & 127U} << shift;
        complete = c.input[body++] < 128;
      }
      if (!complete) break;
      if (c.filled - body < length) {
        if (length + 8 > c.input.size()) c.input.resize(2 * length);
        break;
      }
      on_packet(c, c.input[at], c.input.data() + body, length);
      at = body + length;
    }
    std::memmove(c.input.data(), c.input.data() + at, c.filled - at);
    c.filled -= at;
    if (!c.output.empty()) flush(c);
  }

  void answer(Connection& c, int first, const unsigned char* id) {
    c.output += static_cast<char>(first);
    c.output += '\2';
    c.output.append(reinterpret_cast<const char*>(id), 2);
  }

  void on_packet(Connection& c, unsigned first, const unsigned char* body, std::size_t size) {
    switch (first >> 4) {
      case 2:  // CONNACK
        if (body[1] != 0) fail(c.client_id + ": refused, code " + std::to_string(body[1]));
        if (c.publishes || idle_) return become_ready(c);
        c.state = Connection::State::kSuback;
        c.output += encode_subscribe(options_, c);
        return;
      case 9:  // SUBACK
        if (body[size - 1] >= 0x80) fail(c.client_id + ": subscription refused");
        return become_ready(c);
      case 3:
        return on_message(c, first, body, size);
      case 5:
        return answer(c, 0x62, body);  // PUBREC
      case 6:
        return answer(c, 0x70, body);  // PUBREL
      case 4:
      case 7:
        return on_ack(c, body, size);
      case 13:
        return;
      default:
        fail(c.client_id + ": packet of type " + std::to_string(first >> 4));
    }
  }

  void become_ready(Connection& c) {
    c.state = Connection::State::kReady;
    ++ready_;
  }

  void on_message(Connection& c, unsigned first, const unsigned char* body, std::size_t size) {
    std::size_t at = 2 + (std::size_t{body[0]} << 8 | body[1]);
    const unsigned qos = first >> 1 & 3;
    if (qos > 0) {
      answer(c, qos == 1 ? 0x40 : 0x50, body + at);
      at += 2;
    }
    if (options_.version == 5) {
      std::size_t length = 0;
      int shift = 0;
      do {
        length |= std::size_t{body[at] & 127U} << shift;
        shift += 7;
      } while (body[at++] >= 128);
      at += length;
    }
    ++counters_.received;
    if ((first & 8) != 0) ++counters_.duplicates;
    if (!measuring_ || size - at < 8) return;
    std::uint64_t due = 0;
    std::memcpy(&due, body + at, 8);
    delivery_.add(now_ns() - due);
  }

  void on_ack(Connection& c, const unsigned char* body, std::size_t size) {
    const std::size_t id = std::size_t{body[0]} << 8 | body[1];
    if (size > 2 && body[2] >= 0x80) fail(c.client_id + ": message refused, code " + std::to_string(body[2]));
    if (c.due[id] == 0) fail(c.client_id + ": acknowledged what is not in flight");
    if (measuring_) ack_.add(now_ns() - c.due[id]);
    c.due[id] = 0;
    --c.in_flight;
    ++counters_.acked;
  }

  bool may_send(const Connection& c) const {
    if (options_.qos > 0 && c.in_flight >= options_.window) return false;
    return copies_ == 0 || counters_.sent * copies_ < counters_.received + options_.ahead;
  }

  void put_message(Connection& c, std::uint64_t due) {
    const std::size_t at = c.output.size();
    c.output += c.frame;
    if (each_) {
      const std::string number = digits(counters_.sent % static_cast<std::uint64_t>(options_.subs));
      c.output.replace(at + c.number_at, kDigits, number);
    }
    if (options_.qos > 0) {
      do {
        if (++c.next_id == 0) c.next_id = 1;
      } while (c.due[c.next_id] != 0);
      c.output[at + c.id_at] = static_cast<char>(c.next_id >> 8);
      c.output[at + c.id_at + 1] = static_cast<char>(c.next_id);
      c.due[c.next_id] = due;
      ++c.in_flight;
    }
    if (options_.size >= 8) std::memcpy(c.output.data() + at + c.stamp_at, &due, 8);
    ++counters_.sent;
  }

  // As much as the windows allow; whether anything was sent.
  bool pump() {
    bool any = false;
    for (Connection* c : publishers_) {
      if (!c->output.empty()) continue;
      const std::uint64_t now = now_ns();
      if (options_.single) {
        for (int i = 0; i < kSingles && c->output.empty() && may_send(*c); ++i) {
          put_message(*c, now_ns());
          flush(*c);
          any = true;
        }
        continue;
      }
      while (c->output.size() < kBatchBytes && may_send(*c)) put_message(*c, now);
      if (c->output.empty()) continue;
      flush(*c);
      any = true;
    }
    return any;
  }

  // What is due by now, publishers in turn. One that is held up falls behind its schedule and is charged for
  // it.
  void pump_at_rate() {
    const std::uint64_t now = now_ns();
    while (true) {
      const std::uint64_t due =
          started_ + static_cast<std::uint64_t>(static_cast<double>(counters_.sent) * 1e9 / options_.rate);
      Connection& c = *publishers_[counters_.sent % publishers_.size()];
      if (due > now || c.output.size() > kBatchBytes || !may_send(c)) break;
      put_message(c, due);
    }
    for (Connection* c : publishers_) {
      if (!c->output.empty()) flush(*c);
    }
  }

  void publish_for(double seconds) {
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(seconds * 1e9);
    while (now_ns() < end) {
      if (options_.rate > 0) {
        pump_at_rate();
        turn_until_due();
      } else {
        turn(pump() ? 0 : 5);
      }
    }
  }

  void turn_until_due() {
    const double due =
        static_cast<double>(started_) + static_cast<double>(counters_.sent) * 1e9 / options_.rate;
    const double left_ns = due - static_cast<double>(now_ns());
    const timespec wait{.tv_sec = 0, .tv_nsec = static_cast<long>(std::clamp(left_ns, 0.0, 5e6))};
    handle(epoll_pwait2(epoll_, events_.data(), static_cast<int>(events_.size()), &wait, nullptr));
  }

  void turn(int wait_ms) {
    handle(epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), wait_ms));
    if (options_.pid > 0) rss_max_kib_ = std::max(rss_max_kib_, sampled_rss());
  }

  long sampled_rss() {
    if (now_ns() < next_sample_) return 0;
    next_sample_ = now_ns() + 100'000'000;
    return resident_kib(options_.pid);
  }

  void handle(int ready) {
    for (int i = 0; i < ready; ++i) {
      auto& c = *static_cast<Connection*>(events_[static_cast<std::size_t>(i)].data.ptr);
      const unsigned events = events_[static_cast<std::size_t>(i)].events;
      if ((events & EPOLLOUT) != 0) flush(c);
      if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive(c);
    }
  }

  void receive_the_rest() {
    std::uint64_t last = counters_.received;
    std::uint64_t still_since = now_ns();
    while (counters_.received < counters_.sent * copies_ && now_ns() - still_since < kStillNs) {
      turn(10);
      if (counters_.received != last) still_since = now_ns();
      last = counters_.received;
    }
  }

  int report(const Counters& before, const Counters& after, double seconds, double cpu, double own) const {
    const auto sent = static_cast<double>(after.sent - before.sent);
    const auto received = static_cast<double>(after.received - before.received);
    const auto lost =
        static_cast<long long>(counters_.sent * copies_) - static_cast<long long>(counters_.received);
    const auto us = [](const Histogram& h, double share) {
      return static_cast<double>(h.percentile(share)) / 1e3;
    };
    const char* form =
        options_.json
            ? "{\"sent_per_s\":%.0f,\"received_per_s\":%.0f,\"lost\":%lld,\"duplicates\":%lu,"
              "\"delivery_us\":{\"p50\":%.0f,\"p99\":%.0f,\"p999\":%.0f},"
              "\"ack_us\":{\"p50\":%.0f,\"p99\":%.0f,\"p999\":%.0f},"
              "\"broker_us_per_message\":%.3f,\"broker_cores\":%.2f,\"broker_rss_max_kib\":%ld,"
              "\"broker_rss_before_kib\":%ld,\"broker_rss_after_kib\":%ld,\"connected_per_s\":%.0f,"
              "\"loader_cores\":%.2f}\n"
            : "sent %.0f/s, received %.0f/s, lost %lld, duplicates %lu\n"
              "delivery p50 %.0f us, p99 %.0f us, p99.9 %.0f us\n"
              "acknowledgement p50 %.0f us, p99 %.0f us, p99.9 %.0f us\n"
              "broker %.3f us of processor per message, %.2f cores, %ld KiB (%ld before, %ld after); "
              "%.0f subscribers connected per second; "
              "loader %.2f cores\n";
    std::printf(form, sent / seconds, received / seconds, lost, counters_.duplicates, us(delivery_, 0.5),
                us(delivery_, 0.99), us(delivery_, 0.999), us(ack_, 0.5), us(ack_, 0.99), us(ack_, 0.999),
                sent > 0 ? cpu * 1e6 / sent : 0, cpu / seconds, rss_max_kib_, rss_before_kib_, rss_after_kib_,
                connected_per_s_, own / seconds);
    return lost > 0 ? 3 : 0;
  }

  static constexpr std::size_t kBatchBytes = 32768;
  static constexpr int kSingles = 64;  // before others have their turn
  static constexpr int kConnecting = 100;
  static constexpr std::uint64_t kStillNs = 5'000'000'000;

  Options options_;
  int epoll_;
  std::uint64_t copies_ = 0;  // received per message sent
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> publishers_;
  std::vector<epoll_event> events_ = std::vector<epoll_event>(512);
  int ready_ = 0;
  bool measuring_ = false;
  std::uint64_t started_ = 0;
  std::uint64_t next_sample_ = 0;
  bool each_ = false;
  bool idle_ = false;
  double connected_per_s_ = 0;
  long rss_max_kib_ = 0;
  long rss_before_kib_ = 0;  // no client is connected
  long rss_after_kib_ = 0;
  Counters counters_;
  Histogram delivery_;
  Histogram ack_;
};

Options parse(int argc, char** argv) {
  Options o;
  std::map<std::string, std::string> texts;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--persist" || flag == "--json" || flag == "--single") {
      (flag == "--json" ? o.json : flag == "--single" ? o.single : o.persist) = true;
    } else if (flag.starts_with("--") && i + 1 < argc) {
      texts[flag.substr(2)] = argv[++i];
    } else {
      fail("what is '" + flag + "'? See the head of mqttload.cc");
    }
  }
  const auto take = [&texts](const char* name, auto& value) {
    const auto found = texts.find(name);
    if (found == texts.end()) return;
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
      value = found->second;
    } else {
      value = static_cast<std::decay_t<decltype(value)>>(std::strtod(found->second.c_str(), nullptr));
    }
    texts.erase(found);
  };
  take("host", o.host), take("port", o.port), take("mode", o.mode), take("topic", o.topic);
  take("ver", o.version), take("size", o.size), take("qos", o.qos), take("pubs", o.pubs),
      take("subs", o.subs);
  take("window", o.window), take("ahead", o.ahead), take("rate", o.rate), take("warm", o.warm_s);
  take("dur", o.measure_s), take("pid", o.pid);
  constexpr std::uint64_t kAheadBytes = 2 << 20;
  if (o.ahead == 0)
    o.ahead =
        std::clamp<std::uint64_t>(kAheadBytes / static_cast<std::uint64_t>(std::max(o.size, 1)), 1, 20000);
  if (!texts.empty()) fail("what is '--" + texts.begin()->first + "'? See the head of mqttload.cc");
  return o;
}

}  // namespace
}  // namespace stele::bench

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  return stele::bench::Load(stele::bench::parse(argc, argv)).run();
}
