// A small durable state machine for tests of a group: registers, and a trail of the values that were written
// last, so that a copy has some size. All of it is written anew at each step, and renamed to its place.
//
// A command is a register and a value; its answer tells at which entry it was applied.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "raft/state_machine.h"
#include "runtime/runtime.h"

namespace stele::raft::testing {

class RegisterMachine final : public StateMachine {
 public:
  // In `state` of the directory, which is made if missing; copies lie beside it. kCorrupt.
  static runtime::Task<Result<std::unique_ptr<RegisterMachine>>> open(runtime::Runtime& runtime,
                                                                      std::string directory,
                                                                      std::size_t trail = 1000);

  static std::string command(std::uint64_t number, std::uint64_t value);
  static std::pair<std::uint64_t, std::uint64_t> decode_command(std::string_view command);
  static LogIndex applied_at(std::string_view answer);

  // 0 if it was never written.
  std::uint64_t value(std::uint64_t number) const;
  // Of everything that was ever applied, in its order.
  std::uint64_t hash() const { return state_.hash; }
  // Told of each entry that is about to be applied, of each time that is durable, and of a copy that was
  // installed.
  std::function<void(const Entry&)> on_apply;
  std::function<void()> on_change;

  LogIndex applied() const override { return state_.applied; }
  runtime::Task<Result<std::vector<std::string>>> apply(std::vector<Entry> entries) override;
  runtime::Task<Result<std::unique_ptr<SnapshotCopy>>> copy() override;
  runtime::Task<Result<void>> install(std::string file) override;

 private:
  struct State {
    LogIndex applied;
    std::uint64_t hash = 0;
    std::map<std::uint64_t, std::uint64_t> registers;
    std::deque<std::uint64_t> trail;
  };
  RegisterMachine(runtime::Runtime& runtime, std::string directory, std::size_t trail)
      : runtime_(runtime), directory_(std::move(directory)), trail_(trail) {}
  static std::string encode(const State& state);
  static Result<State> decode(std::string_view bytes);
  runtime::Task<Result<State>> load(std::string file);
  runtime::Task<Result<void>> put(const State& state);
  void take(State& state, const Entry& entry) const;

  runtime::Runtime& runtime_;
  const std::string directory_;
  const std::size_t trail_;
  State state_;
  std::uint64_t copies_ = 0;  // that were made
};

}  // namespace stele::raft::testing
