// The store against a model: what is found after a crash is what was handed in, up to some point that is not
// before anything that was answered.
#include "raft/log_store.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/log_codec.h"
#include "raft/log_places.h"
#include "runtime/random.h"
#include "storage/testing/memory_disk.h"

namespace stele::raft {
namespace {

using runtime::Random;
using storage::testing::MemoryDisk;
using storage::testing::MemoryRuntime;

Membership of(std::initializer_list<std::uint32_t> voters) {
  Membership who;
  for (const std::uint32_t id : voters) who.voters.insert(NodeId(id));
  return who;
}

Entry command(std::uint64_t index, std::size_t size) {
  Entry out;
  out.term = Term(1);
  out.index = LogIndex(index);
  out.kind = EntryKind::kCommand;
  out.payload = Bytes::copy(std::string(size, 'x'));
  return out;
}

// What a log is, for comparison.
struct Model {
  HardState hard;
  SnapshotInfo start;
  std::deque<Entry> entries;  // behind start

  LogIndex last() const { return start.index + entries.size(); }
  Term last_term() const { return entries.empty() ? start.term : entries.back().term; }
  void cut(const SnapshotInfo& to) {
    while (start.index < to.index && !entries.empty()) {
      entries.pop_front();
      ++start.index;
    }
    start = to;
  }
  void truncate(LogIndex from) {
    while (last() >= from) entries.pop_back();
  }
};

std::string text(const Entry& entry) {
  std::string out = std::to_string(entry.term.value) + "/" + std::to_string(entry.index.value) + " " +
                    std::to_string(static_cast<int>(entry.kind)) + " " +
                    std::to_string(entry.payload.size()) + std::string(entry.payload.view().substr(0, 2));
  if (entry.membership) {
    for (const NodeId voter : entry.membership->voters) out += " +" + std::to_string(voter.value);
  }
  return out;
}

std::string text(const Model& model) {
  std::string out = "term " + std::to_string(model.hard.term.value) + " vote " +
                    (model.hard.vote ? std::to_string(model.hard.vote->value) : "none") + " from " +
                    std::to_string(model.start.term.value) + "/" + std::to_string(model.start.index.value) +
                    ":";
  for (const Entry& entry : model.entries) out += " [" + text(entry) + "]";
  return out;
}

class Played {
 public:
  explicit Played(std::uint64_t seed) : random_(seed), disk_(seed * 3 + 1), seed_(seed) {
    options_.directory = "/raft";
    options_.file_bytes = 64 << 10;
    options_.read_bytes = 1 + random_.below(2000);
  }

  void play(int steps) {
    open();
    for (; steps > 0 && !::testing::Test::HasFatalFailure(); --steps) {
      const std::uint64_t what = random_.below(20);
      if (what == 0) {
        crash();
      } else if (what == 1) {
        stop();
      } else if (what == 2) {
        disk_.capacity = disk_.capacity == UINT64_MAX ? disk_.used() : UINT64_MAX;
      } else if (what < 6) {
        read_something();
      } else {
        write_something();
      }
      runtime_->turns(random_.below(12));
    }
    disk_.capacity = UINT64_MAX;
    stop();
  }

 private:
  void open() {
    disk_.capacity = UINT64_MAX;
    runtime_ = std::make_unique<MemoryRuntime>(disk_, random_.next());
    auto opened = runtime_->run(LogStore::open(*runtime_, options_));
    ASSERT_TRUE(opened) << opened.error().to_string() << ", seed " << seed_;
    store_ = *std::move(opened);
    check_found(store_->take_found());
  }

  void crash() {
    store_.reset();
    runtime_.reset();
    disk_.crash();
    open();
  }

  void stop() {
    if (disk_.capacity != UINT64_MAX) return;
    const auto closed = runtime_->run(store_->close());
    if (closed) {  // all of it is there
      states_.erase(states_.begin(), states_.end() - 1);
    } else {
      ASSERT_EQ(closed.error().code, ErrorCode::kNoSpace) << closed.error().to_string();
    }
    store_.reset();
    runtime_.reset();
    open();
  }

  // `found` is one of the states since the last that was answered, or one whose last Store is there in part.
  void check_found(const StoredLog& found) {
    Model model{.hard = found.hard_state, .start = {}, .entries = {}};
    model.start = {
        .index = found.log.start.index, .term = found.log.start.term, .membership = found.log.base};
    for (LogIndex at = model.start.index + 1; at <= found.log.last; ++at) {
      auto read = runtime_->run(store_->read({at, at}, 1));
      ASSERT_TRUE(read) << read.error().to_string() << ", seed " << seed_;
      ASSERT_EQ(read->size(), 1u);
      model.entries.push_back(std::move(read->front()));
    }
    const std::string is = text(model);
    std::string all;
    for (const auto& candidate : states_) {
      if (text(candidate) == is) {
        check_outline(found.log, model);
        states_ = {std::move(model)};
        number_of_ = {0};
        return;
      }
      all += "\n  " + text(candidate);
    }
    FAIL() << "seed " << seed_ << " found\n  " << is << "\nwhere one of these should be:" << all;
  }

  static void check_outline(const LogOutline& log, const Model& model) {
    std::vector<TermRun> runs;
    std::size_t memberships = 0;
    Term before = model.start.term;
    for (const Entry& entry : model.entries) {
      if (runs.empty() || entry.term != before) runs.push_back({entry.index, entry.term});
      before = entry.term;
      if (!entry.membership) continue;
      ASSERT_LT(memberships, log.memberships.size());
      EXPECT_EQ(log.memberships[memberships].index, entry.index);
      EXPECT_EQ(log.memberships[memberships++].membership, *entry.membership);
    }
    EXPECT_EQ(memberships, log.memberships.size());
    ASSERT_EQ(runs.size(), log.terms.size());
    for (std::size_t i = 0; i < runs.size(); ++i) {
      EXPECT_EQ(runs[i].first, log.terms[i].first);
      EXPECT_EQ(runs[i].term, log.terms[i].term);
    }
  }

  Entry entry(Term term, LogIndex index) {
    Entry out;
    out.term = term;
    out.index = index;
    out.kind = static_cast<EntryKind>(random_.below(3));
    if (out.kind == EntryKind::kConfiguration) {
      out.membership =
          std::make_shared<const Membership>(of({1, 2, static_cast<std::uint32_t>(index.value % 7 + 3)}));
    }
    if (out.kind == EntryKind::kCommand)
      out.payload = Bytes::copy(std::string(random_.below(300), 'a' + index.value % 26));
    return out;
  }

  void write_something() {
    Model model = states_.back();
    std::vector<Model> steps;  // what is there when the Store is there in part
    const std::uint64_t kind = random_.below(12);
    if (kind == 1 && !model.entries.empty()) return cut(std::move(model));
    Store what;
    if (random_.chance(1, 3)) {
      model.hard.term = model.hard.term + random_.below(2) + (model.last_term() > model.hard.term ? 5 : 0);
      model.hard.vote = random_.chance(1, 2)
                            ? std::optional(NodeId(static_cast<std::uint32_t>(random_.below(5))))
                            : std::nullopt;
      what.hard_state = model.hard;
    }
    if (kind == 0) {
      what.snapshot = SnapshotInfo{
          .index = model.last() + random_.below(5), .term = model.last_term(), .membership = of({1, 4})};
      model.start = *what.snapshot;
      model.entries.clear();
    }
    steps.push_back(model);
    if (kind == 2 && !model.entries.empty()) {
      const std::uint64_t at = random_.below(model.entries.size());
      Entry repaired = model.entries[at];
      repaired.payload = Bytes::copy("repaired" + std::string(++repairs_, 'r'));
      if (repaired.kind == EntryKind::kCommand) what.repaired.push_back(repaired);
      if (repaired.kind == EntryKind::kCommand) model.entries[at] = repaired;
      steps.push_back(model);
    }
    if (kind < 5 && kind > 2 && !model.entries.empty()) {
      what.truncate_from = model.last() - random_.below(std::min<std::uint64_t>(model.entries.size(), 10));
      model.truncate(*what.truncate_from);
      steps.push_back(model);
    }
    const Term term = std::max(model.last_term(), Term(1)) + random_.below(8) / 7;
    for (std::uint64_t n = random_.below(5); n > 0; --n) {
      what.entries.push_back(entry(term, model.last() + 1));
      model.entries.push_back(what.entries.back());
      steps.push_back(model);
    }
    hand_in(steps);
    store_->store(std::move(what),
                  [this, number = handed_in_](Result<void> result) { answered(number, result); });
  }

  void cut(Model model) {
    const std::uint64_t at = random_.below(model.entries.size());
    model.cut({.index = model.entries[at].index, .term = model.entries[at].term, .membership = of({1, 2})});
    hand_in({model});
    store_->cut(model.start);
  }

  void hand_in(const std::vector<Model>& steps) {
    ++handed_in_;
    for (const Model& step : steps) {
      states_.push_back(step);
      number_of_.push_back(handed_in_);
    }
  }

  // States before the last of that Store are past.
  void answered(std::uint64_t number, const Result<void>& result) {
    ASSERT_TRUE(result) << result.error().to_string();
    ASSERT_GT(number, answered_);
    answered_ = number;
    while (states_.size() > 1 && number_of_[1] <= number) {
      states_.pop_front();
      number_of_.pop_front();
    }
  }

  void read_something() {
    const Model& durable = states_.front();
    if (durable.entries.empty() || states_.back().start.index > durable.start.index) return;
    const std::uint64_t at = random_.below(durable.entries.size());
    const LogIndex first = durable.entries[at].index;
    // What is handed in and not durable may have replaced it.
    for (const Model& later : states_) {
      if (later.last() < first || text(later.entries[at]) != text(durable.entries[at])) return;
    }
    const std::string should = text(durable.entries[at]);
    auto read = runtime_->run(store_->read({first, first}, 1 + random_.below(1000)));
    ASSERT_TRUE(read) << read.error().to_string() << ", seed " << seed_;
    EXPECT_EQ(text(read->front()), should);
  }

  Random random_;
  MemoryDisk disk_;
  const std::uint64_t seed_;
  LogStoreOptions options_;
  std::unique_ptr<MemoryRuntime> runtime_;
  std::unique_ptr<LogStore> store_;
  std::deque<Model> states_{Model{}};  // from the last that was answered on
  std::deque<std::uint64_t> number_of_{0};
  std::uint64_t handed_in_ = 0, answered_ = 0, repairs_ = 0;
};

TEST(LogStore, WhatIsFoundIsWhatWasStored) {
  for (std::uint64_t seed = 1; seed <= 300 && !::testing::Test::HasFailure(); ++seed) Played(seed).play(120);
}

TEST(LogStore, AFailedDiskIsFinal) {
  MemoryDisk disk(1);
  MemoryRuntime runtime(disk, 2);
  auto store = *runtime.run(LogStore::open(runtime, {.directory = "/raft", .file_bytes = 64 << 10}));
  std::vector<ErrorCode> told;
  const auto append = [&](std::uint64_t index) {
    Store what;
    what.entries.push_back(command(index, 1));
    store->store(std::move(what),
                 [&](Result<void> result) { told.push_back(result ? ErrorCode() : result.error().code); });
  };
  disk.failing_syncs = 1000;
  disk.failing_writes = 1000;
  append(1);
  append(2);
  while (told.size() < 2 && runtime.turn()) {
  }
  append(3);
  while (told.size() < 3 && runtime.turn()) {
  }
  EXPECT_EQ(told, std::vector<ErrorCode>(3, ErrorCode::kIo));
}

TEST(LogStore, ALogThatIsCutLeavesTheDisk) {
  MemoryDisk disk(1);
  MemoryRuntime runtime(disk, 2);
  LogStoreOptions options{.directory = "/raft", .file_bytes = 64 << 10};
  auto store = *runtime.run(LogStore::open(runtime, options));
  for (std::uint64_t index = 1; index <= 4000; ++index) {
    Store what;
    what.entries.push_back(command(index, 500));
    bool done = false;
    store->store(std::move(what), [&](const Result<void>& result) { done = result.has_value(); });
    while (!done) ASSERT_TRUE(runtime.turn());
    if (index % 100 == 0) store->cut({.index = LogIndex(index - 50), .term = Term(1), .membership = {}});
  }
  EXPECT_LT(store->stats().disk_bytes, 10u * (64 << 10)) << "of two megabytes";
}

// A log that begins behind a state machine that had none, and is not begun a second time.
TEST(LogStore, BeginsBehindAStateMachine) {
  MemoryDisk disk(1);
  MemoryRuntime runtime(disk, 2);
  const LogStoreOptions options{.directory = "/raft"};
  const SnapshotInfo start{.index = LogIndex(77), .term = Term(1), .membership = of({5})};
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(runtime.run(begin_log(runtime, options, start)));
    auto store = *runtime.run(LogStore::open(runtime, options));
    const StoredLog found = store->take_found();
    EXPECT_EQ(found.hard_state.term, Term(1));
    EXPECT_EQ(found.log.start, (LogPoint{Term(1), LogIndex(77)}));
    EXPECT_EQ(found.log.last, LogIndex(77));
    EXPECT_EQ(found.log.base, start.membership);
    ASSERT_TRUE(runtime.run(store->close()));
  }
  {
    auto store = *runtime.run(LogStore::open(runtime, options));
    Store next;
    next.hard_state = HardState{.term = Term(9), .vote = {}, .doubt = {}};
    bool done = false;
    store->store(std::move(next), [&](const Result<void>& result) { done = result.has_value(); });
    while (!done) ASSERT_TRUE(runtime.turn());
    ASSERT_TRUE(runtime.run(store->close()));
  }
  ASSERT_TRUE(
      runtime.run(begin_log(runtime, options, {.index = LogIndex(99), .term = Term(1), .membership = {}})));
  auto store = *runtime.run(LogStore::open(runtime, options));
  const StoredLog found = store->take_found();
  EXPECT_EQ(found.hard_state.term, Term(9));
  EXPECT_EQ(found.log.start.index, LogIndex(77));
}

TEST(LogCodec, StateAndRecordsComeBack) {
  rc::check([] {
    LogState state;
    state.hard.term = Term(*rc::gen::arbitrary<std::uint64_t>());
    if (*rc::gen::arbitrary<bool>()) state.hard.vote = NodeId(*rc::gen::arbitrary<std::uint32_t>());
    state.hard.doubt = {Term(*rc::gen::arbitrary<std::uint64_t>()),
                        LogIndex(*rc::gen::arbitrary<std::uint64_t>())};
    state.start.index = LogIndex(*rc::gen::arbitrary<std::uint64_t>());
    for (const std::uint32_t id : *rc::gen::arbitrary<std::vector<std::uint32_t>>()) {
      state.start.membership.voters.insert(NodeId(id));
      state.start.membership.learners_next.insert(NodeId(id / 2));
    }
    const auto stored = encode(LogRecord{.type = LogRecord::Type::kReplace, .entry = {}, .state = state});
    const auto back = decode_log_record(stored);
    RC_ASSERT(back.has_value());
    RC_ASSERT(back->type == LogRecord::Type::kReplace);
    RC_ASSERT(back->state == state);
    const std::string bytes(stored.head.view());
    RC_ASSERT(!decode_log_record({.head = Bytes::copy(bytes.substr(0, bytes.size() - 1)), .body = {}}));
    // Whatever it is: an answer, and nothing else.
    std::string broken = bytes;
    broken[*rc::gen::inRange<std::size_t>(0, broken.size())] ^= static_cast<char>(*rc::gen::inRange(1, 255));
    (void)decode_log_record({.head = Bytes::copy(broken), .body = {}});
  });
}

TEST(LogPlaces, AreWhatAVectorSays) {
  rc::check([](const std::vector<std::uint8_t>& steps) {
    LogPlaces places;
    std::deque<std::uint64_t> model;  // records
    std::uint64_t first = 1, record = 0;
    for (const std::uint8_t step : steps) {
      if (step % 8 == 0) {
        record += step % 3;
      } else if (step % 8 == 1 && !model.empty()) {
        const std::uint64_t from = first + step % model.size();
        places.truncate(LogIndex(from));
        model.resize(from - first);
      } else if (step % 8 == 2) {
        const std::uint64_t below = first + step % (model.size() + 3);
        places.cut(LogIndex(below));
        while (first < below) {
          if (!model.empty()) model.pop_front();
          ++first;
        }
      } else if (step % 8 == 3 && !model.empty()) {
        const std::uint64_t at = step % model.size();
        model[at] = record;
        places.repair(LogIndex(first + at), record++);
      } else {
        places.append(record);
        model.push_back(record++);
      }
      RC_ASSERT(places.next() == LogIndex(first + model.size()));
      RC_ASSERT(!places.find(LogIndex(first + model.size())));
      for (std::uint64_t i = 0; i < model.size(); ++i) {
        const auto place = places.find(LogIndex(first + i));
        RC_ASSERT(place.has_value());
        RC_ASSERT(place->at == model[i]);
        RC_ASSERT(place->count >= 1u);
        for (std::uint64_t j = 0; j < place->count; ++j) RC_ASSERT(model[i + j] == model[i] + j);
        RC_ASSERT(*places.oldest() <= place->at);
      }
    }
  });
}

}  // namespace
}  // namespace stele::raft
