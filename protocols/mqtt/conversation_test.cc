// Conversations with the server, as files: testdata/*.txt. A line that begins with `>` is what a client or
// the world does, the indented lines below it are what follows. `bazel run //protocols/mqtt:conversation_test
// --
// --rewrite` writes what follows anew; a human reads the difference.
//
//   > world receive_maximum=2            a new world; the listener's options
//   > c1 open                            a connection without a CONNECT
//   > c1 connect v5 id=a                 opens one if need be, and sends; v4 is 3.1.1, v3 is 3.1
//   > c1 publish topic=a & ping          packets in one piece
//   > c1 eof | stuck | unstuck           the client closes; takes nothing more in; does so again
//   > advance 90                         seconds
//   > broker hold-answers | answer | hold-tasks | complete | window N | lose ID | stop | publish …
//   > broker user NAME=PASSWORD | forget NAME | busy | hold-logins | go-on
//   > listener stop | counters
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/fake_broker.h"
#include "protocols/mqtt/fake_runtime.h"
#include "protocols/mqtt/listener.h"
#include "protocols/mqtt/message_mapping.h"
#include "protocols/mqtt/packet_text.h"
#include "runtime/scope.h"

namespace stele::mqtt {
namespace {

bool rewrite = false;

std::string bytes_of(std::string_view packet) {
  std::string out = "bytes";
  for (const char byte : packet) {
    char text[4];
    std::snprintf(text, sizeof text, " %02x", static_cast<unsigned char>(byte));
    out += text;
  }
  return out;
}

// The client's end: bytes to lines.
class Client final : public runtime::ConnectionHandler {
 public:
  Client(std::string name, std::vector<std::string>& lines) : name_(std::move(name)), lines_(lines) {}
  void start(std::unique_ptr<FakeConnection> connection) {
    connection_ = std::move(connection);
    connection_->start(*this);
  }
  bool open() const { return connection_ && !connection_->ended; }
  void send(std::string_view packets) {
    std::string out;
    while (true) {
      const std::size_t end = packets.find(" & ");
      append_packet(out, packets.substr(0, end), version_);
      if (end == std::string_view::npos) break;
      packets.remove_prefix(end + 3);
    }
    connection_->write(out);
  }
  void eof() { connection_.reset(); }
  void stuck(bool on) {
    connection_->paused = on;
    if (connection_->peer) connection_->peer->stuck = on;
  }

  void on_data(Bytes data) override {
    input_ += data.view();
    while (true) {
      const FrameResult next = next_frame(input_, kMaxVarint);
      if (next.status != FrameResult::Status::kFrame) break;
      auto packet = decode(next.frame, version_);
      lines_.push_back(name_ + " <- " +
                       (packet ? to_text(*packet) : bytes_of(input_.substr(0, next.frame.total_size))));
      input_.erase(0, next.frame.total_size);
    }
  }
  void on_closed(const Error&) override { lines_.push_back(name_ + " is closed"); }

 private:
  std::string name_;
  std::vector<std::string>& lines_;
  std::unique_ptr<FakeConnection> connection_;
  std::string input_;
  Version version_ = Version::kV5;
};

runtime::Task<void> stop_listener(MqttListener* listener, std::vector<std::string>* lines) {
  co_await listener->stop();
  lines->push_back("listener has stopped");
}

class World {
 public:
  explicit World(MqttOptions options) { listener_ = *MqttListener::listen(broker_, {"fake", 0}, options); }
  ~World() { clients_.clear(); }

  std::vector<std::string> run(std::string_view command) {
    lines_.clear();
    const std::size_t space = command.find(' ');
    const std::string_view who = command.substr(0, space);
    const std::string_view rest = space == std::string_view::npos ? "" : command.substr(space + 1);
    if (who == "advance") {
      runtime_.advance(std::chrono::seconds(std::atoi(std::string(rest).c_str())));
    } else if (who == "broker") {
      run_broker(rest);
    } else if (who == "listener") {
      scope_.spawn(stop_listener(listener_.get(), &lines_));
    } else if (who == "counters") {
      counters();
    } else {
      run_client(std::string(who), rest);
    }
    runtime_.settle();
    for (std::string& note : broker_.notes) lines_.push_back("broker: " + note);
    broker_.notes.clear();
    return lines_;
  }

 private:
  void run_broker(std::string_view what) {
    if (what == "hold-answers")
      broker_.hold_answers = true;
    else if (what == "answer")
      broker_.answer();
    else if (what == "hold-tasks")
      broker_.hold_tasks = true;
    else if (what == "complete") {
      broker_.hold_tasks = false;
      broker_.complete();
    } else if (what == "stop")
      broker_.stop = true;
    else if (what.starts_with("window "))
      broker_.window = std::strtoul(what.data() + 7, nullptr, 10);
    else if (what.starts_with("user ")) {
      const std::size_t equals = what.find('=');
      broker_.anybody.passwords[std::string(what.substr(5, equals - 5))] = what.substr(equals + 1);
      broker_.anybody.changed();
    } else if (what.starts_with("forget "))
      broker_.anybody.forget(std::string(what.substr(7)));
    else if (what == "busy")
      broker_.anybody.busy = true;
    else if (what == "hold-logins")
      broker_.anybody.hold = true;
    else if (what == "go-on") {
      broker_.anybody.hold = false;
      broker_.anybody.go_on();
    } else if (what.starts_with("lose "))
      broker_.lose_session(std::string(what.substr(5)));
    else if (what.starts_with("publish ")) {
      std::deque<std::string> storage;
      const Publish packet = parse_publish(what, storage);
      broker_.publish(message_of(packet, runtime_.wall_now().ms));
    } else {
      ADD_FAILURE() << "unknown: broker " << what;
    }
  }
  void run_client(const std::string& name, std::string_view what) {
    auto& client = clients_[name];
    if (!client || !client->open()) {
      client = std::make_unique<Client>(name, lines_);
      auto connection = runtime_.network().dial(listener_->local().port);
      client->start(std::move(connection));
    }
    if (what == "open") return;
    if (what == "eof") return client->eof();
    if (what == "stuck" || what == "unstuck") return client->stuck(what == "stuck");
    client->send(what);
  }
  void counters() {
    const MqttCounters& c = listener_->counters();
    const auto put = [&](std::string name, std::uint64_t value) {
      if (value != 0) lines_.push_back(name + " " + std::to_string(value));
    };
    put("accepted", c.accepted);
    put("refused", c.refused);
    put("connected", c.connected);
    put("connect_refused", c.connect_refused);
    put("connections", c.connections);
    put("login_refused", c.login_refused);
    put("protocol_errors", c.protocol_errors);
    put("connect_timeouts", c.connect_timeouts);
    put("keep_alive_timeouts", c.keep_alive_timeouts);
    put("taken_over", c.taken_over);
    put("sessions_lost", c.sessions_lost);
    put("publish_refused", c.publish_refused);
    put("dropped_slow", c.dropped_slow);
    put("dropped_queue", c.dropped_queue);
    put("dropped_expired", c.dropped_expired);
    put("dropped_too_large", c.dropped_too_large);
  }

  FakeRuntime runtime_;
  FakeBroker broker_{runtime_};
  std::unique_ptr<MqttListener> listener_;
  std::vector<std::string> lines_;
  std::map<std::string, std::unique_ptr<Client>> clients_;
  runtime::Scope scope_;
};

MqttOptions parse_options(std::istringstream& words) {
  MqttOptions out;
  std::string word;
  while (words >> word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::uint64_t value = std::strtoull(word.c_str() + equals + 1, nullptr, 10);
    if (name == "max_connections")
      out.max_connections = value;
    else if (name == "max_packet_size")
      out.max_packet_size = static_cast<std::uint32_t>(value);
    else if (name == "max_control_packet_size")
      out.max_control_packet_size = static_cast<std::uint32_t>(value);
    else if (name == "max_input_bytes")
      out.max_input_bytes = value;
    else if (name == "receive_maximum")
      out.receive_maximum = static_cast<std::uint16_t>(value);
    else if (name == "max_keep_alive_s")
      out.max_keep_alive_s = static_cast<std::uint16_t>(value);
    else if (name == "max_topic_alias")
      out.max_topic_alias = static_cast<std::uint16_t>(value);
    else if (name == "max_session_expiry_s")
      out.max_session_expiry_s = static_cast<std::uint32_t>(value);
    else if (name == "max_in_flight")
      out.max_in_flight = static_cast<std::uint16_t>(value);
    else if (name == "max_queue_messages")
      out.max_queue_messages = value;
    else if (name == "max_queue_bytes")
      out.max_queue_bytes = value;
    else if (name == "max_output_bytes")
      out.max_output_bytes = value;
    else
      ADD_FAILURE() << "unknown option " << name;
  }
  return out;
}

// The file as it would be if everything went as it goes now.
std::string replay(const std::string& text) {
  std::istringstream in(text);
  std::string out, line;
  std::unique_ptr<World> world;
  while (std::getline(in, line)) {
    if (line.starts_with("  ")) continue;  // what followed when it was written
    out += line + "\n";
    if (!line.starts_with("> ")) continue;
    if (line.starts_with("> world")) {
      std::istringstream words(line.substr(7));
      world.reset();
      world = std::make_unique<World>(parse_options(words));
      continue;
    }
    for (const std::string& follows : world->run(line.substr(2))) out += "  " + follows + "\n";
  }
  return out;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(MqttConversations, GoAsWritten) {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  const std::filesystem::path root = rewrite && workspace ? workspace : ".";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root / "protocols/mqtt/testdata")) {
    if (entry.path().extension() != ".txt") continue;
    ++files;
    SCOPED_TRACE(entry.path().string());
    const std::string written = read(entry.path());
    const std::string now = replay(written);
    if (rewrite) {
      std::ofstream(entry.path()) << now;
    } else {
      EXPECT_EQ(now, written);
    }
  }
  EXPECT_GT(files, 0u);
}

}  // namespace
}  // namespace stele::mqtt

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  stele::mqtt::rewrite = argc > 1 && std::string_view(argv[1]) == "--rewrite";
  return RUN_ALL_TESTS();
}
