#include "runtime/uv/files.h"

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "runtime/uv/core.h"
#include "runtime/uv/system_files.h"

namespace stele::runtime::uv {
namespace {

// Where jobs run. `job` runs on some other thread, then `done` on the core.
class Worker {
 public:
  virtual ~Worker() = default;
  virtual void execute(Work job, Work done) = 0;
};

class PoolWorker final : public Worker {
 public:
  explicit PoolWorker(UvCore& core) : core_(core) {}
  void execute(Work job, Work done) override {
    core_.offload([job = std::move(job)](BlockingFiles&) mutable { job(); }, std::move(done));
  }

 private:
  UvCore& core_;
};

// One thread, jobs in order. Its destructor returns at once; the thread does what it has and ends.
class ThreadWorker final : public Worker {
 public:
  explicit ThreadWorker(UvCore& core) : core_(core), queue_(std::make_shared<Queue>()) {
    core.adopt(std::thread([&core, queue = queue_] { serve(core, *queue); }));
  }
  ~ThreadWorker() override {
    {
      std::lock_guard lock(queue_->mutex);
      queue_->last = true;
    }
    queue_->filled.notify_one();
    core_.told_to_end();
  }
  void execute(Work job, Work done) override {
    {
      std::lock_guard lock(queue_->mutex);
      queue_->jobs.emplace_back(std::move(job), std::move(done));
    }
    queue_->filled.notify_one();
  }

 private:
  struct Queue {
    std::mutex mutex;
    std::condition_variable filled;
    std::deque<std::pair<Work, Work>> jobs;
    bool last = false;
  };
  static void serve(UvCore& core, Queue& queue) {
    std::unique_lock lock(queue.mutex);
    for (;;) {
      queue.filled.wait(lock, [&] { return queue.last || !queue.jobs.empty(); });
      if (queue.jobs.empty()) break;
      auto [job, done] = std::move(queue.jobs.front());
      queue.jobs.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      core.post_from_outside(std::move(done));
      lock.lock();
    }
    core.post_from_outside([&core, self = std::this_thread::get_id()] { core.reap(self); });
  }

  UvCore& core_;
  std::shared_ptr<Queue> queue_;
};

// co_await of a job on a worker. The awaiting frame may be destroyed meanwhile: the job and its result live
// in a state of their own, and `waiter` is then null.
template <class T>
class Call {
 public:
  Call(Worker& worker, std::move_only_function<T()> job)
      : worker_(worker), state_(std::make_shared<State>()) {
    state_->job = std::move(job);
  }
  Call(const Call&) = delete;
  ~Call() { state_->waiter = {}; }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    state_->waiter = waiter;
    worker_.execute(
        [state = state_] {
          state->result.emplace(state->job());
          state->job = nullptr;
        },
        [state = state_] {
          if (state->waiter) state->waiter.resume();
        });
  }
  T await_resume() { return *std::move(state_->result); }

 private:
  struct State {
    std::move_only_function<T()> job;
    std::optional<T> result;
    std::coroutine_handle<> waiter;  // only used on the core
  };
  Worker& worker_;
  std::shared_ptr<State> state_;
};

class UvFile final : public File {
 public:
  UvFile(std::shared_ptr<SystemFile> file, std::unique_ptr<Worker> worker)
      : file_(std::move(file)), worker_(std::move(worker)) {}

  Task<Result<std::uint64_t>> size() override {
    if (!file_) co_return closed();
    co_return co_await Call<Result<std::uint64_t>>(*worker_, [file = file_] { return file->size(); });
  }
  Task<Result<Bytes>> read(Position position, std::size_t length) override {
    if (!file_) co_return closed();
    co_return co_await Call<Result<Bytes>>(
        *worker_, [file = file_, position, length] { return file->read(position, length); });
  }
  Task<Result<void>> write(Position position, std::vector<Bytes> slices) override {
    if (!file_) co_return closed();
    co_return co_await Call<Result<void>>(*worker_, [file = file_, position, slices = std::move(slices)] {
      return file->write(position, slices);
    });
  }
  Task<Result<void>> sync() override {
    if (!file_) co_return closed();
    co_return co_await Call<Result<void>>(*worker_, [file = file_] { return file->sync(); });
  }
  Task<Result<void>> write_and_sync(Position position, std::vector<Bytes> slices) override {
    if (!file_) co_return closed();
    co_return co_await Call<Result<void>>(
        *worker_, [file = file_, position, slices = std::move(slices)]() -> Result<void> {
          STELE_CHECK(file->write(position, slices));
          return file->sync();
        });
  }
  Task<Result<void>> truncate(std::uint64_t size) override {
    if (!file_) co_return closed();
    co_return co_await Call<Result<void>>(*worker_, [file = file_, size] { return file->truncate(size); });
  }
  Task<Result<void>> close() override {
    if (!file_) co_return closed();
    path_ = file_->path();
    auto file = std::exchange(file_, nullptr);
    co_return co_await Call<Result<void>>(*worker_, [file = std::move(file)]() mutable -> Result<void> {
      // Calls under way hold it too; then the last of them closes.
      if (file.use_count() > 1) return {};
      return file->close();
    });
  }

 private:
  std::unexpected<Error> closed() const { return error(ErrorCode::kClosed, "file " + path_ + " is closed"); }
  std::shared_ptr<SystemFile> file_;
  std::unique_ptr<Worker> worker_;
  std::string path_;  // once closed
};

class FileLock final : public Files::Lock {
 public:
  explicit FileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;
};

}  // namespace

Task<Result<std::unique_ptr<File>>> UvFiles::open(std::string path, OpenOptions options) {
  PoolWorker pool(core_);
  auto opened = co_await Call<Result<std::shared_ptr<SystemFile>>>(
      pool, [path, mode = options.mode] { return SystemFiles::open_shared(path, mode); });
  if (!opened) co_return std::unexpected(std::move(opened).error());
  std::unique_ptr<Worker> worker;
  if (options.own_thread) {
    worker = std::make_unique<ThreadWorker>(core_);
  } else {
    worker = std::make_unique<PoolWorker>(core_);
  }
  co_return std::make_unique<UvFile>(*std::move(opened), std::move(worker));
}

Task<Result<std::vector<DirectoryEntry>>> UvFiles::list(std::string directory) {
  PoolWorker pool(core_);
  co_return co_await Call<Result<std::vector<DirectoryEntry>>>(
      pool, [directory] { return SystemFiles::list(directory); });
}

Task<Result<void>> UvFiles::make_directory(std::string path) {
  PoolWorker pool(core_);
  co_return co_await Call<Result<void>>(pool, [path] { return SystemFiles::make_directory(path); });
}

Task<Result<void>> UvFiles::rename(std::string from, std::string to) {
  PoolWorker pool(core_);
  co_return co_await Call<Result<void>>(pool, [from, to] { return SystemFiles().rename(from, to); });
}

Task<Result<void>> UvFiles::remove(std::string path) {
  PoolWorker pool(core_);
  co_return co_await Call<Result<void>>(pool, [path] { return SystemFiles().remove(path); });
}

Task<Result<void>> UvFiles::sync_directory(std::string path) {
  PoolWorker pool(core_);
  co_return co_await Call<Result<void>>(pool, [path] { return SystemFiles().sync_directory(path); });
}

Task<Result<std::unique_ptr<Files::Lock>>> UvFiles::lock(std::string path) {
  PoolWorker pool(core_);
  auto locked = co_await Call<Result<Descriptor>>(pool, [path] { return SystemFiles::lock(path); });
  if (!locked) co_return std::unexpected(std::move(locked).error());
  co_return std::make_unique<FileLock>(*std::move(locked));
}

}  // namespace stele::runtime::uv
