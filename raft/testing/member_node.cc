#include "raft/testing/member_node.h"

#include <chrono>
#include <utility>

namespace stele::raft::testing {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
constexpr runtime::Duration kLatest = 2s;  // a message that is late
}  // namespace

class MemberNode::Filter final : public PeerTransport {
 public:
  explicit Filter(MemberNode& node) : node_(node) {}
  void send(NodeId to, std::vector<Bytes> message) override {
    const auto& loses = node_.options_.loses;
    if (loses && loses(node_.self(), to, message)) return;
    runtime::Random& random = node_.runtime_.random();
    if (const std::uint64_t n = node_.options_.disorder_one_in; n != 0 && random.chance(1, n)) {
      const std::uint64_t what = random.below(3);
      if (what == 0) return;
      node_.scope_.spawn(node_.send_late(to, message));
      if (what == 1) return;
    }
    node_.peers_->send(to, std::move(message));
  }

 private:
  MemberNode& node_;
};

MemberNode::MemberNode(sim::ProcessContext& process, MemberNodeOptions options, GroupLedger& ledger,
                       Load load, Ends ends)
    : process_(process),
      runtime_(process.core(0)),
      options_(std::move(options)),
      ledger_(ledger),
      load_(std::move(load)),
      ends_(std::move(ends)),
      filter_(std::make_unique<Filter>(*this)) {
  ending_.spawn(start(*this));
}
MemberNode::~MemberNode() = default;

void MemberNode::on_terminate() {
  if (!std::exchange(stopping_, true)) ending_.spawn(end(*this, std::nullopt));
}

Task<void> MemberNode::send_late(NodeId to, std::vector<Bytes> message) {
  const auto late = runtime::Duration(runtime_.random().between(0, runtime::Duration(kLatest).count()));
  if (co_await runtime::sleep(runtime_, late, scope_.token())) peers_->send(to, std::move(message));
}

Task<void> MemberNode::start(MemberNode& self) {
  if (auto opened = co_await open(self); !opened) {
    if (!std::exchange(self.stopping_, true)) co_await end(self, opened.error());
  } else if (self.load_ && !self.stopping_) {
    self.scope_.spawn(self.load_(self));
  }
}

Task<Result<void>> MemberNode::open(MemberNode& self) {
  const NodeId id = self.self();
  STELE_CO_TRY(self.machine_,
               co_await RegisterMachine::open(self.runtime_, "/raft/state", self.options_.trail));
  self.machine_->on_apply = [&self](const Entry& entry) { self.ledger_.applies(self.self(), entry); };
  self.machine_->on_change = [&self] {
    self.ledger_.state(self.self(), self.machine_->applied(), self.machine_->hash());
    self.look();
  };
  self.machine_->on_change();
  self.peers_ = std::make_unique<TcpPeers>(self.runtime_, id, self.options_.group,
                                           [&self](NodeId from, const Bytes& message) {
                                             if (self.member_) self.member_->deliver(from, message);
                                             self.look();
                                           });
  MemberOptions options = self.options_.member;
  options.directory = "/raft/member";
  options.on_failure = [&self](const Error& why) {
    if (!std::exchange(self.stopping_, true)) self.ending_.spawn(end(self, why));
  };
  STELE_CO_TRY(self.member_,
               co_await Member::open(self.runtime_, std::move(options), *self.machine_, *self.filter_));
  co_return self.peers_->listen(self.options_.group.at(id));
}

// In good order, as far as it goes.
Task<void> MemberNode::end(MemberNode& self, std::optional<Error> why) {
  if (why) {
    if (self.ends_) self.ends_(*why);
    co_await runtime::sleep(self.runtime_, 100ms);  // what is wrong may be so for a while
  }
  if (self.member_) (void)co_await self.member_->close();
  if (self.peers_) co_await self.peers_->close();
  co_await self.scope_.close();
  self.process_.exit();
}

void MemberNode::look() {
  if (!member_) return;
  const MemberStatus now = member_->status();
  if (now.role == Role::kLeader) ledger_.leads(now.self, now.term);
}

Task<Result<LogIndex>> MemberNode::write(std::uint64_t number, std::uint64_t value) {
  const std::string command = RegisterMachine::command(number, value);
  auto answer = co_await member_->propose(command);
  if (!answer) {
    if (answer.error().code == ErrorCode::kUnavailable) ledger_.refused(command);
    co_return std::unexpected(std::move(answer).error());
  }
  const LogIndex at = RegisterMachine::applied_at(*answer);
  ledger_.acknowledged(at, command);
  co_return at;
}

Task<Result<std::uint64_t>> MemberNode::read(std::uint64_t number) {
  STELE_CO_CHECK(co_await member_->read_barrier());
  co_return machine_->value(number);
}

}  // namespace stele::raft::testing
