// The keeper of chains as one would be that is far away. Lives on one core, like what it stands for.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "journal/chain_keeper.h"
#include "runtime/runtime.h"
#include "sim/workloads/storage_run.h"

namespace stele::sim {

// A keeper of chains that is slow, and whose answers are lost.
class FarKeeper final : public journal::ChainKeeper {
 public:
  FarKeeper(StorageRun& run, runtime::Runtime& core, std::shared_ptr<ChainKeeper> keeper)
      : run_(run), core_(core), keeper_(std::move(keeper)) {}

  NodeId node() const override { return keeper_->node(); }
  runtime::Task<Result<std::vector<meta::Shard>>> take(std::vector<ShardId> shards) override {
    STELE_CO_CHECK(co_await there());
    co_return co_await back(co_await keeper_->take(std::move(shards)));
  }
  runtime::Task<Result<std::vector<meta::Shard>>> read(std::vector<ShardId> shards) override {
    STELE_CO_CHECK(co_await there());
    co_return co_await back(co_await keeper_->read(std::move(shards)));
  }
  runtime::Task<Result<meta::SealAndOpen::Answer>> seal_and_open(
      std::vector<meta::SealAndOpenItem> items) override {
    STELE_CO_CHECK(co_await there());
    co_return co_await back(co_await keeper_->seal_and_open(std::move(items)));
  }
  runtime::Task<Result<meta::TrimChain::Answer>> trim(std::vector<meta::TrimChainItem> items) override {
    STELE_CO_CHECK(co_await there());
    co_return co_await back(co_await keeper_->trim(std::move(items)));
  }
  runtime::Task<Result<void>> move(meta::MoveSegment segment) override {
    STELE_CO_CHECK(co_await there());
    co_return co_await back(co_await keeper_->move(std::move(segment)));
  }

 private:
  // One call in so many is not answered, before or after it took effect.
  static constexpr std::uint64_t kUnansweredOneIn = 14;

  bool lost() { return !run_.calm() && run_.random().chance(1, kUnansweredOneIn); }
  static std::unexpected<Error> unanswered() {
    return error(ErrorCode::kUnavailable, "the keeper of chains does not answer");
  }
  runtime::Task<Result<void>> there() {
    if (run_.random().chance(1, 4)) {
      co_await runtime::sleep(core_, runtime::Duration(run_.random().between(
                                         0, runtime::Duration(std::chrono::milliseconds(300)).count())));
    }
    if (lost()) co_return unanswered();
    co_return Result<void>();
  }
  template <class T>
  runtime::Task<Result<T>> back(Result<T> answer) {
    if (run_.random().chance(1, 8)) {
      co_await runtime::sleep(core_, runtime::Duration(run_.random().between(
                                         0, runtime::Duration(std::chrono::seconds(2)).count())));
    }
    if (lost()) co_return unanswered();
    co_return answer;
  }
  StorageRun& run_;
  runtime::Runtime& core_;
  const std::shared_ptr<ChainKeeper> keeper_;
};

}  // namespace stele::sim
