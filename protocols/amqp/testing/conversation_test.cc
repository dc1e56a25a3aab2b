// Conversations with the server, as files: testdata/*.txt. A line that begins with `>` is what a client or
// the world does, the indented lines below it are what follows. `bazel run //protocols/amqp:conversation_test
// -- --rewrite` writes what follows anew; a human reads the difference.
//
//   > world channel_max=2                a new world; the listener's options
//   > c1 hello heartbeat=10 channel_max=2 caps=a,b   a connection up to connection.open-ok, which is not
//   shown > c1 dial                            a connection, and nothing sent > c1 header AMQP0091 eight
//   bytes; digits are bytes of that number > c1 1 channel.open & 1 tx.select    methods, of a channel each,
//   in one piece (method_text.h) > c1 plain USER PASSWORD [CAP]       connection.start-ok > c1 bytes 08 00 01
//   whatever > c1 heartbeat | eof | stuck | unstuck > advance 90                         seconds > broker
//   hold-answers | answer | hold-tasks | complete | window N | stop | block | unblock | force > broker delete
//   QUEUE | fail CODE TEXT > listener stop | counters
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "protocols/amqp/listener.h"
#include "protocols/amqp/sasl.h"
#include "protocols/amqp/testing/fake_amqp_broker.h"
#include "protocols/amqp/testing/method_text.h"
#include "protocols/amqp/testing/test_client.h"
#include "protocols/mqtt/fake_runtime.h"
#include "runtime/scope.h"

namespace stele::amqp {
namespace {

bool rewrite = false;

class Client final : public TestClient {
 public:
  Client(std::string name, std::vector<std::string>& lines) : name_(std::move(name)), lines_(lines) {}
  void on_received(const Received& received) override {
    if (greeting &&
        (received.id == ConnectionStart::kInfo.id() || received.id == ConnectionTune::kInfo.id() ||
         received.id == ConnectionOpenOk::kInfo.id())) {
      return;
    }
    std::string line = std::to_string(received.channel) + " " + to_text(received.payload);
    if (const std::size_t tag = line.find("amq.ctag-"); tag != std::string::npos) {
      line.erase(tag + 9, 32);  // nobody can guess it
    }
    if (received.id == ConnectionStart::kInfo.id() && name_ != "c1") {  // once is enough
      line.erase(line.find(" server_properties"));
    }
    if (!received.properties.empty()) {
      if (const auto properties = decode_properties(received.properties)) line += to_text(*properties);
      line += received.body.size() > 40 ? " body=<" + std::to_string(received.body.size()) + " bytes>"
                                        : " body=" + received.body;
    }
    say("<- " + line);
  }
  void on_heartbeat() override { say("<- heartbeat"); }
  void on_header(std::string_view) override { say("<- protocol header"); }
  void on_closed(const Error& why) override {
    TestClient::on_closed(why);
    say("is closed");
  }
  bool greeting = false;

 private:
  void say(std::string what) { lines_.push_back(name_ + " " + std::move(what)); }
  std::string name_;
  std::vector<std::string>& lines_;
};

runtime::Task<void> stop_listener(AmqpListener* listener, std::vector<std::string>* lines) {
  co_await listener->stop();
  lines->push_back("listener has stopped");
}

class World {
 public:
  explicit World(AmqpOptions options) { listener_ = *AmqpListener::listen(broker_, {"fake", 0}, options); }

  std::vector<std::string> run(std::string_view command) {
    lines_.clear();
    std::istringstream words{std::string(command)};
    std::string who, rest;
    words >> who >> std::ws;
    std::getline(words, rest);
    if (who == "advance") {
      runtime_.advance(std::chrono::seconds(std::atoi(rest.c_str())));
    } else if (who == "broker") {
      run_broker(rest);
    } else if (who == "listener") {
      scope_.spawn(stop_listener(listener_.get(), &lines_));
    } else if (who == "counters") {
      counters();
    } else {
      run_client(who, rest);
    }
    runtime_.settle();
    for (std::string& note : broker_.notes) lines_.push_back("broker: " + note);
    broker_.notes.clear();
    return lines_;
  }

 private:
  void run_broker(const std::string& command) {
    std::istringstream words(command);
    std::string what, rest;
    words >> what >> std::ws;
    std::getline(words, rest);
    if (what == "hold-answers") {
      broker_.hold_answers = true;
    } else if (what == "answer") {
      broker_.answer();
    } else if (what == "hold-tasks") {
      broker_.hold_tasks = true;
    } else if (what == "complete") {
      broker_.hold_tasks = false;
      broker_.complete();
    } else if (what == "window") {
      broker_.window = std::strtoul(rest.c_str(), nullptr, 10);
    } else if (what == "stop") {
      broker_.stop = true;
    } else if (what == "block") {
      broker_.block(rest);
    } else if (what == "unblock") {
      broker_.unblock();
    } else if (what == "force") {
      broker_.force_close();
    } else if (what == "delete") {
      broker_.delete_queue(rest);
    } else if (what == "ready") {
      lines_.push_back(std::to_string(broker_.ready(rest)));
    } else if (what == "fail") {
      broker_.fail_channels({static_cast<ReplyCode>(std::atoi(rest.c_str())), rest.substr(4), 0, 0});
    } else {
      ADD_FAILURE() << what;
    }
  }

  void run_client(const std::string& who, const std::string& command) {
    std::unique_ptr<Client>& client = clients_[who];
    std::istringstream words(command);
    std::string what;
    words >> what;
    if (!client || !client->open()) {
      client = std::make_unique<Client>(who, lines_);
      client->start(runtime_.network().dial(listener_->local().port));
    }
    if (what == "dial") {
    } else if (what == "hello") {
      hello(*client, words);
    } else if (what == "header") {
      std::string bytes;
      for (std::string text = command.substr(7); const char c : text) {
        bytes += c >= '0' && c <= '9' ? static_cast<char>(c - '0') : c;
      }
      client->send(bytes);
    } else if (what == "plain") {
      plain(*client, words);
    } else if (what == "bytes") {
      std::string bytes;
      for (unsigned byte = 0; words >> std::hex >> byte;) bytes += static_cast<char>(byte);
      client->send(bytes);
    } else if (what == "heartbeat") {
      client->send(kHeartbeatFrame);
    } else if (what == "eof") {
      client->connection.reset();
    } else if (what == "stuck" || what == "unstuck") {
      client->connection->paused = what == "stuck";
      if (client->connection->peer) client->connection->peer->stuck = what == "stuck";
    } else {
      methods(*client, command);
    }
  }
  void hello(Client& client, std::istringstream& words) {
    std::string capabilities;
    for (std::string word; words >> word;) {
      if (word.starts_with("heartbeat=")) {
        client.heartbeat_s = static_cast<std::uint16_t>(std::atoi(word.c_str() + 10));
      }
      if (word.starts_with("channel_max=")) {
        client.channel_max = static_cast<std::uint16_t>(std::atoi(word.c_str() + 12));
      }
      if (word.starts_with("caps=")) capabilities = word.substr(5);
    }
    client.greeting = true;
    client.hello(capabilities);
    runtime_.settle();
    client.greeting = false;
  }
  void plain(Client& client, std::istringstream& words) {
    std::string user, password, capability;
    words >> user >> password >> capability;
    const std::string response = plain_response({user, password});
    Table flags, properties;
    if (!capability.empty()) flags.add(capability, true);
    properties.add("capabilities", flags.view());
    std::string out;
    EXPECT_TRUE(append_method(out, 0, ConnectionStartOk{properties.view(), "PLAIN", response, "en_US"}));
    client.send(out);
  }
  void methods(Client& client, std::string_view rest) {
    std::string out;
    while (!rest.empty()) {
      const std::string_view one = rest.substr(0, rest.find(" & "));
      rest.remove_prefix(std::min(rest.size(), one.size() + 3));
      const std::size_t space = one.find(' ');
      append_text_method(out, static_cast<std::uint16_t>(std::atoi(std::string(one).c_str())),
                         one.substr(space + 1));
    }
    client.send(out);
  }

  void counters() {
    const AmqpCounters& c = listener_->counters();
    const auto put = [&](const char* name, std::uint64_t value) {
      if (value != 0) lines_.push_back(std::string(name) + " " + std::to_string(value));
    };
    put("accepted", c.accepted);
    put("refused", c.refused);
    put("opened", c.opened);
    put("login_refused", c.login_refused);
    put("connections", c.connections);
    put("channels", c.channels);
    put("published", c.published);
    put("returned", c.returned);
    put("confirmed", c.confirmed);
    put("delivered", c.delivered);
    put("settled", c.settled);
    put("channel_errors", c.channel_errors);
    put("connection_errors", c.connection_errors);
    put("handshake_timeouts", c.handshake_timeouts);
    put("heartbeat_timeouts", c.heartbeat_timeouts);
    put("broker channels", broker_.channels());
    put("broker hosts", broker_.hosts());
  }

  mqtt::FakeRuntime runtime_;
  FakeAmqpBroker broker_{runtime_};
  std::unique_ptr<AmqpListener> listener_;
  std::vector<std::string> lines_;
  std::map<std::string, std::unique_ptr<Client>> clients_;
  runtime::Scope scope_;
};

AmqpOptions parse_options(std::istringstream& words) {
  AmqpOptions out;
  std::string word;
  while (words >> word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::uint64_t value = std::strtoull(word.c_str() + equals + 1, nullptr, 10);
    if (name == "max_connections") {
      out.max_connections = value;
    } else if (name == "channel_max") {
      out.channel_max = static_cast<std::uint16_t>(value);
    } else if (name == "max_message_bytes") {
      out.max_message_bytes = value;
    } else if (name == "max_input_bytes") {
      out.max_input_bytes = value;
    } else if (name == "max_unanswered") {
      out.max_unanswered = value;
    } else if (name == "max_tx_messages") {
      out.max_tx_messages = value;
    } else if (name == "max_tx_bytes") {
      out.max_tx_bytes = value;
    } else if (name == "max_consumers") {
      out.max_consumers = value;
    } else if (name == "max_unsettled") {
      out.max_unsettled = value;
    } else if (name == "max_output_bytes") {
      out.max_output_bytes = value;
    } else {
      ADD_FAILURE() << "unknown option " << name;
    }
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

TEST(AmqpConversations, GoAsWritten) {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  const std::filesystem::path root = rewrite && workspace ? workspace : ".";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root / "protocols/amqp/testdata")) {
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
}  // namespace stele::amqp

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  stele::amqp::rewrite = argc > 1 && std::string_view(argv[1]) == "--rewrite";
  return RUN_ALL_TESTS();
}
