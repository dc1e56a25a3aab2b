// The writer of several replicas, and their take-over, against replicas that do as they are told.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/quorum_writer.h"
#include "journal/take_segment.h"
#include "journal/testing/test_node.h"
#include "runtime/scope.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Task;
using storage::FenceAnswer;
using storage::SegmentInfo;

constexpr SegmentId kS{7};
constexpr Epoch kE{3};

// Holds one segment in memory. Writers are answered when the test says so, or at once.
class FakeReplica final : public SegmentReplica {
 public:
  enum class Fences { kAnswers, kSilent, kFails, kGone, kFenced };
  explicit FakeReplica(runtime::Runtime& runtime) : runtime_(runtime) {}

  // ---- what it is told
  std::vector<std::string> entries;
  bool certain = true;
  Fences fences = Fences::kAnswers;
  bool at_once = false;
  int fences_asked = 0;
  bool fresh = false;
  // Of the writer that is open: what it was given, from where.
  bool open() const { return writer_ != nullptr; }
  std::uint64_t first = 0;
  std::vector<std::string> given;
  void store(std::uint64_t end) { writer_->listener.on_stored(end); }
  void fail(ErrorCode code) { writer_->listener.on_append_failed({code, "as told"}); }
  void space() { watcher_->on_space(); }

  // ---- what it does
  std::uint64_t disk() const override { return 1; }
  std::unique_ptr<SegmentWriter> open_writer(SegmentId, Epoch, std::uint64_t from,
                                             AppendListener& listener) override {
    first = from;
    given.clear();
    return std::make_unique<Writer>(*this, listener);
  }
  Task<Result<std::vector<Result<FenceAnswer>>>> fence(std::vector<storage::FenceRequest> requests) override {
    ++fences_asked;
    fresh = requests.at(0).fresh;
    co_await runtime::sleep(runtime_,
                            fences == Fences::kSilent ? runtime::Duration(1h) : runtime::Duration(1ms));
    if (fences == Fences::kGone) co_return error(ErrorCode::kNotFound, "another disk");
    if (fences == Fences::kFails) co_return error(ErrorCode::kUnavailable, "not reached");
    std::vector<Result<FenceAnswer>> answers;
    if (fences == Fences::kFenced) {
      answers.push_back(error(ErrorCode::kFenced, "a higher epoch"));
    } else {
      answers.emplace_back(FenceAnswer{.begin = 0, .end = entries.size(), .certain = certain});
    }
    co_return answers;
  }
  Task<Result<std::vector<LogEntry>>> read(SegmentId, std::uint64_t index, std::size_t) override {
    std::vector<LogEntry> found;
    for (; index < entries.size() && found.size() < 2; ++index) found.push_back(entry_of(entries[index]));
    co_return found;
  }
  Task<Result<std::vector<std::optional<SegmentInfo>>>> describe(std::vector<SegmentId>) override {
    co_return std::vector<std::optional<SegmentInfo>>();
  }
  Task<Result<std::vector<SegmentInfo>>> list() override { co_return std::vector<SegmentInfo>(); }
  void trim(SegmentId, std::uint64_t) override {}
  void remove(std::vector<SegmentId>) override {}
  bool has_space() const override { return true; }
  void watch_space(SpaceListener& listener) override { watcher_ = &listener; }

 private:
  struct Writer final : SegmentWriter {
    Writer(FakeReplica& owner, AppendListener& l) : replica(owner), listener(l) { replica.writer_ = this; }
    ~Writer() override {
      if (replica.writer_ == this) replica.writer_ = nullptr;
    }
    void append(LogEntry entry) override {
      replica.given.push_back(text_of(entry));
      if (!replica.at_once) return;
      replica.entries.push_back(text_of(entry));
      replica.runtime_.post(replica.runtime_.core(),
                            [this, alive = std::weak_ptr<int>(alive), end = replica.entries.size()] {
                              if (!alive.expired()) listener.on_stored(end);
                            });
    }
    FakeReplica& replica;
    AppendListener& listener;
    std::shared_ptr<int> alive = std::make_shared<int>();
  };
  runtime::Runtime& runtime_;
  Writer* writer_ = nullptr;
  SpaceListener* watcher_ = nullptr;
};

struct Heard : AppendListener {
  std::uint64_t committed = 0;
  std::optional<Error> failed;
  void on_stored(std::uint64_t end) override {
    EXPECT_FALSE(failed);
    EXPECT_GT(end, committed);
    committed = end;
  }
  void on_append_failed(const Error& why) override {
    EXPECT_FALSE(failed);
    failed = why;
  }
};

class ReplicatedTest : public ::testing::Test {
 protected:
  struct Nothing final : sim::Program {};
  ReplicatedTest() {
    host_.boot(1, [this](sim::ProcessContext& process) {
      core_ = &process.core(0);
      return std::make_unique<Nothing>();
    });
    world_.run_for(1ms);
    for (int i = 0; i < 3; ++i) replicas_.push_back(std::make_unique<FakeReplica>(*core_));
  }
  void act(const std::function<void()>& work) {
    bool done = false;
    core_->post(CoreId(0), [&] {
      work();
      done = true;
    });
    world_.run_until([&] { return done; }, 1s);
    ASSERT_TRUE(done);
  }
  FakeReplica& at(std::size_t i) { return *replicas_[i]; }
  std::vector<SegmentReplica*> all() {
    std::vector<SegmentReplica*> found;
    for (const auto& replica : replicas_) found.push_back(replica.get());
    return found;
  }
  void open(std::size_t max_kept_bytes = 1000) {
    act([&] {
      writer_ = std::make_unique<QuorumWriter>(*core_, all(), kS, kE, heard_,
                                               QuorumWriterOptions{.max_kept_bytes = max_kept_bytes});
    });
  }
  void append(const std::string& text) {
    act([&] { writer_->append(entry_of(text)); });
  }
  template <class T>
  T get(const std::function<Task<T>()>& make, runtime::Duration within = 1min) {
    std::optional<T> result;
    act([&] { scope_.spawn(keep(make(), &result)); });
    world_.run_until([&] { return result.has_value(); }, within);
    EXPECT_TRUE(result.has_value());
    return *std::move(result);
  }
  Result<TakenSegment> take() {
    return get<Result<TakenSegment>>(
        [&] { return take_segment(*core_, all(), kS, kE, {.give_up_after = 5s}); });
  }

  struct Later final : runtime::Timer {
    std::function<void()> act;
    void on_timer() override { act(); }
  };
  sim::World world_{1};
  sim::Host& host_ = world_.add_host("node");
  runtime::Runtime* core_ = nullptr;
  std::vector<std::unique_ptr<FakeReplica>> replicas_;
  Heard heard_;
  Later later_;
  runtime::Scope scope_;
  std::unique_ptr<QuorumWriter> writer_;

 private:
  template <class T>
  static Task<void> keep(Task<T> task, std::optional<T>* result) {
    result->emplace(co_await std::move(task));
  }
};

using Texts = std::vector<std::string>;

TEST_F(ReplicatedTest, CommitsWhatTwoOfThreeHave) {
  open();
  append("a");
  append("b");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(at(i).given, (Texts{"a", "b"}));
  act([&] { at(2).store(2); });
  EXPECT_EQ(heard_.committed, 0u);
  act([&] { at(0).store(1); });
  EXPECT_EQ(heard_.committed, 1u);
  act([&] { at(1).store(2); });
  EXPECT_EQ(heard_.committed, 2u);
  EXPECT_EQ(writer_->kept_bytes(), 1u) << "the first lacks one";
  act([&] { at(0).store(2); });
  EXPECT_EQ(writer_->kept_bytes(), 0u);
}

TEST_F(ReplicatedTest, WhoWasAwayGetsWhatItLacks) {
  open();
  append("a");
  act([&] { at(0).store(1); });
  append("b");
  act([&] { at(0).fail(ErrorCode::kUnavailable); });
  EXPECT_FALSE(at(0).open());
  EXPECT_EQ(writer_->healthy(), 2u);
  append("c");
  act([&] {
    at(1).store(3);
    at(2).store(3);
  });
  EXPECT_EQ(heard_.committed, 3u);
  act([&] { at(0).space(); });
  EXPECT_EQ(at(0).first, 1u);
  EXPECT_EQ(at(0).given, (Texts{"b", "c"}));
  EXPECT_EQ(writer_->healthy(), 3u);
  EXPECT_FALSE(heard_.failed);
}

TEST_F(ReplicatedTest, WhoIsTooFarBehindIsOut) {
  open(5);
  append("aaa");
  append("bbb");
  EXPECT_EQ(writer_->out(), 0u) << "what is not committed is never let go";
  act([&] {
    at(0).store(2);
    at(1).store(2);
  });
  append("c");
  EXPECT_EQ(writer_->out(), 1u);
  EXPECT_FALSE(at(2).open());
  EXPECT_EQ(writer_->kept_bytes(), 1u);
  act([&] { at(2).space(); });
  EXPECT_FALSE(at(2).open());
  // Now both are needed, and nobody is let go however much there is.
  append("dddddddddd");
  act([&] { at(0).store(4); });
  append("e");
  EXPECT_EQ(writer_->out(), 1u);
  act([&] { at(1).store(4); });
  EXPECT_EQ(heard_.committed, 4u);
}

TEST_F(ReplicatedTest, WhoHasNothingIsToldOfTheSegmentUntilItKnows) {
  at(2).fences = FakeReplica::Fences::kFails;
  open();
  world_.run_for(5s);
  EXPECT_EQ(at(0).fences_asked, 1);
  EXPECT_TRUE(at(0).fresh);
  EXPECT_GT(at(2).fences_asked, 3);
  at(2).fences = FakeReplica::Fences::kAnswers;
  world_.run_for(2s);
  const int asked = at(2).fences_asked;
  world_.run_for(5s);
  EXPECT_EQ(at(2).fences_asked, asked);
  EXPECT_FALSE(heard_.failed);
}

TEST_F(ReplicatedTest, WithoutAQuorumForGoodItEnds) {
  open();
  append("a");
  act([&] { at(0).fail(ErrorCode::kNotFound); });
  EXPECT_EQ(writer_->out(), 1u);
  EXPECT_FALSE(heard_.failed);
  act([&] {
    at(1).store(1);
    at(2).store(1);
    at(2).fail(ErrorCode::kIo);
  });
  EXPECT_EQ(heard_.committed, 1u) << "was committed before";
  ASSERT_TRUE(heard_.failed);
  EXPECT_EQ(heard_.failed->code, ErrorCode::kUnavailable);
}

TEST_F(ReplicatedTest, AnotherOwnerEndsIt) {
  open();
  append("a");
  act([&] { at(1).fail(ErrorCode::kFenced); });
  ASSERT_TRUE(heard_.failed);
  EXPECT_EQ(heard_.failed->code, ErrorCode::kFenced);
  append("b");
  act([&] { at(1).space(); });
  EXPECT_FALSE(at(1).open());
}

TEST_F(ReplicatedTest, OfOneReplicaItIsTheWriter) {
  replicas_.resize(1);
  open();
  append("a");
  act([&] { at(0).store(1); });
  EXPECT_EQ(heard_.committed, 1u);
  act([&] { at(0).fail(ErrorCode::kIo); });
  EXPECT_EQ(heard_.failed->code, ErrorCode::kUnavailable);
}

// ---- take-overs -----------------------------------------------------------------------------------------

TEST_F(ReplicatedTest, TwoThatHoldTheSameAreEnough) {
  at(0).entries = at(1).entries = {"a", "b"};
  at(2).fences = FakeReplica::Fences::kSilent;
  const auto taken = take();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->end, 2u);
  EXPECT_EQ(taken->holders, (std::vector<std::size_t>{0, 1}));
  EXPECT_FALSE(at(0).open());
}

TEST_F(ReplicatedTest, TheLongestIsCopiedBeforeItCounts) {
  at(0).entries = {"a"};
  at(0).at_once = true;
  at(1).entries = {"a", "b", "c", "d"};
  at(2).fences = FakeReplica::Fences::kFails;
  const auto taken = take();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->end, 4u);
  EXPECT_EQ(at(0).entries, at(1).entries);
  EXPECT_EQ(taken->holders, (std::vector<std::size_t>{0, 1}));
  EXPECT_GE(at(0).fences_asked, 2) << "what was copied is asked for on the disk";
}

TEST_F(ReplicatedTest, UncertainAnswersNeedAll) {
  at(0).entries = {"a"};
  at(1).entries = {"a", "b"};
  at(1).certain = false;
  at(1).at_once = at(0).at_once = true;
  at(2).fences = FakeReplica::Fences::kFails;
  const auto none = take();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(none.error().message.find("not reached"), std::string::npos) << none.error().message;
  at(2).fences = FakeReplica::Fences::kGone;
  const auto taken = take();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->end, 2u);
  EXPECT_EQ(at(0).entries, at(1).entries);
}

TEST_F(ReplicatedTest, WhoIsGoneIsNotWaitedFor) {
  at(1).entries = {"a"};
  at(1).certain = false;
  at(2).at_once = true;
  std::vector<SegmentReplica*> replicas = all();
  replicas[0] = nullptr;
  const auto taken = get<Result<TakenSegment>>([&] { return take_segment(*core_, replicas, kS, kE); }, 1s);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->end, 1u);
  EXPECT_EQ(taken->holders, (std::vector<std::size_t>{1, 2}));
}

TEST_F(ReplicatedTest, WhoDidNotAnswerIsAskedAgain) {
  at(0).entries = at(1).entries = {"a"};
  at(1).fences = at(2).fences = FakeReplica::Fences::kFails;
  act([&] { core_->arm(later_, core_->now() + 1s); });
  later_.act = [&] { at(1).fences = FakeReplica::Fences::kAnswers; };
  EXPECT_TRUE(take());
  EXPECT_GT(at(1).fences_asked, 3);
}

TEST_F(ReplicatedTest, AHigherEpochEndsATakeOver) {
  at(1).fences = FakeReplica::Fences::kFenced;
  const auto taken = take();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::kFenced);
}

// Who wrote the segment knows where it ends.
TEST_F(ReplicatedTest, AWriterSyncsWhatItHasCommitted) {
  const auto sync = [&](SyncHow how, std::vector<SegmentReplica*> replicas) {
    return get<Result<void>>(
        [&] { return sync_segment(*core_, replicas, kS, kE, 2, how, {.give_up_after = 5s}); });
  };
  at(0).entries = {"a", "b", "c"};
  at(0).certain = at(1).certain = false;  // what they have they have
  at(1).entries = {"a"};
  at(2).fences = FakeReplica::Fences::kFails;
  EXPECT_EQ(sync(SyncHow::kWait, all()).error().code, ErrorCode::kUnavailable);
  EXPECT_FALSE(at(1).open());
  act([&] { core_->arm(later_, core_->now() + 1s); });
  later_.act = [&] { at(1).entries = {"a", "b"}; };
  EXPECT_TRUE(sync(SyncHow::kWait, all()));

  at(1).entries = {"a"};
  at(1).at_once = true;
  EXPECT_TRUE(sync(SyncHow::kCopy, all()));
  EXPECT_EQ(at(1).entries, Texts({"a", "b"})) << "and no more than that";

  // One that is gone had it.
  at(1).entries = {"a"};
  at(1).fences = FakeReplica::Fences::kGone;
  EXPECT_FALSE(sync(SyncHow::kCopy, all()));
  EXPECT_TRUE(sync(SyncHow::kCopy, {&at(0), &at(1), nullptr}));
  at(0).fences = FakeReplica::Fences::kGone;
  EXPECT_FALSE(sync(SyncHow::kCopy, {&at(0), &at(1), nullptr}));
  at(0).fences = FakeReplica::Fences::kFenced;
  EXPECT_EQ(sync(SyncHow::kCopy, all()).error().code, ErrorCode::kFenced);
}

TEST_F(ReplicatedTest, TheOwnerHearsOfReplicasThatGoAndComeBack) {
  open();
  int changes = 0;
  act([&] { writer_->set_on_change([&] { ++changes; }); });
  EXPECT_TRUE(writer_->can_commit());
  act([&] { at(0).fail(ErrorCode::kUnavailable); });
  EXPECT_EQ(changes, 1);
  EXPECT_TRUE(writer_->can_commit());
  act([&] { at(1).fail(ErrorCode::kNoSpace); });
  EXPECT_EQ(changes, 2);
  EXPECT_FALSE(writer_->can_commit());
  EXPECT_EQ(writer_->last_trouble()->code, ErrorCode::kNoSpace);
  act([&] { at(1).space(); });
  EXPECT_EQ(changes, 3);
  EXPECT_TRUE(writer_->can_commit());
}

}  // namespace
}  // namespace stele::journal
