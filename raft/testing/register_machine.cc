#include "raft/testing/register_machine.h"

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/wire.h"
#include "storage/durable_directory.h"

namespace stele::raft::testing {

using runtime::Task;

namespace {

constexpr std::string_view kCopies = "copy-";

class CopyInAFile final : public SnapshotCopy {
 public:
  CopyInAFile(runtime::Files& files, std::string path, std::unique_ptr<runtime::File> file,
              std::uint64_t bytes)
      : files_(files), path_(std::move(path)), file_(std::move(file)), bytes_(bytes) {}
  std::uint64_t bytes() const override { return bytes_; }
  Task<Result<Bytes>> read(std::uint64_t offset, std::size_t length) override {
    STELE_CO_TRY(Bytes part, co_await file_->read(Position(offset), length));
    if (part.size() != length) co_return error(ErrorCode::kIo, "a copy ends early");
    co_return part;
  }
  Task<void> close() override {
    (void)co_await file_->close();
    (void)co_await files_.remove(path_);
  }

 private:
  runtime::Files& files_;
  const std::string path_;
  const std::unique_ptr<runtime::File> file_;
  const std::uint64_t bytes_;
};

}  // namespace

Task<Result<std::unique_ptr<RegisterMachine>>> RegisterMachine::open(runtime::Runtime& runtime,
                                                                     std::string directory,
                                                                     std::size_t trail) {
  STELE_CO_CHECK(co_await storage::make_durable_directory(runtime.files(), directory));
  std::unique_ptr<RegisterMachine> out(new RegisterMachine(runtime, std::move(directory), trail));
  STELE_CO_TRY(const auto entries, co_await runtime.files().list(out->directory_));
  for (const auto& entry : entries) {
    if (entry.name.starts_with(kCopies)) {
      STELE_CO_CHECK(co_await runtime.files().remove(out->directory_ + "/" + entry.name));
    }
  }
  auto state = co_await out->load(out->directory_ + "/state");
  if (state) {
    out->state_ = *std::move(state);
  } else if (state.error().code != ErrorCode::kNotFound) {
    co_return std::unexpected(std::move(state).error());
  }
  co_return out;
}

std::string RegisterMachine::command(std::uint64_t number, std::uint64_t value) {
  std::string out;
  Writer(out).uvarint(number).uvarint(value);
  return out;
}

std::pair<std::uint64_t, std::uint64_t> RegisterMachine::decode_command(std::string_view command) {
  Reader r(command);
  const std::uint64_t number = r.uvarint();
  return {number, r.uvarint()};
}

LogIndex RegisterMachine::applied_at(std::string_view answer) {
  return LogIndex(Reader(answer).uvarint());
}

std::uint64_t RegisterMachine::value(std::uint64_t number) const {
  const auto at = state_.registers.find(number);
  return at == state_.registers.end() ? 0 : at->second;
}

std::string RegisterMachine::encode(const State& state) {
  std::string out;
  Writer w(out);
  w.uvarint(state.applied.value).le(state.hash);
  w.uvarint(state.registers.size());
  for (const auto& [number, value] : state.registers) w.uvarint(number).uvarint(value);
  w.uvarint(state.trail.size());
  for (const std::uint64_t value : state.trail) w.le(value);
  w.le(crc32c(out));
  return out;
}

Result<RegisterMachine::State> RegisterMachine::decode(std::string_view bytes) {
  const auto corrupt = [] { return error(ErrorCode::kCorrupt, "the registers are damaged"); };
  if (bytes.size() < 4) return corrupt();
  const std::string_view content = bytes.substr(0, bytes.size() - 4);
  if (crc32c(content) != load_le<std::uint32_t>(bytes.data() + content.size())) return corrupt();
  State state;
  Reader r(content);
  state.applied = LogIndex(r.uvarint());
  state.hash = r.le<std::uint64_t>();
  for (std::uint64_t left = r.uvarint(); left > 0 && r.ok(); --left) {
    const std::uint64_t number = r.uvarint();
    state.registers[number] = r.uvarint();
  }
  for (std::uint64_t left = r.uvarint(); left > 0 && r.ok(); --left)
    state.trail.push_back(r.le<std::uint64_t>());
  if (r.failed() || !r.at_end()) return corrupt();
  return state;
}

Task<Result<RegisterMachine::State>> RegisterMachine::load(std::string file) {
  STELE_CO_TRY(auto opened, co_await runtime_.files().open(file, {}));
  STELE_CO_TRY(const std::uint64_t size, co_await opened->size());
  STELE_CO_TRY(const Bytes bytes, co_await opened->read(Position(0), size));
  STELE_CO_CHECK(co_await opened->close());
  co_return decode(bytes.view());
}

Task<Result<void>> RegisterMachine::put(const State& state) {
  runtime::Files& files = runtime_.files();
  const std::string next = directory_ + "/state.new";
  STELE_CO_TRY(auto file, co_await files.open(next, {.mode = runtime::OpenMode::kCreate}));
  STELE_CO_CHECK(co_await file->truncate(0));
  std::vector<Bytes> slices;
  slices.push_back(Bytes::copy(encode(state)));
  STELE_CO_CHECK(co_await file->write_and_sync(Position(0), std::move(slices)));
  STELE_CO_CHECK(co_await file->close());
  STELE_CO_CHECK(co_await files.rename(next, directory_ + "/state"));
  co_return co_await files.sync_directory(directory_);
}

void RegisterMachine::take(State& state, const Entry& entry) const {
  state.applied = entry.index;
  state.hash = Hasher().add(state.hash).add(entry.term.value).add(entry.payload.view()).value();
  if (entry.kind != EntryKind::kCommand) return;
  const auto [number, value] = decode_command(entry.payload.view());
  state.registers[number] = value;
  state.trail.push_back(value);
  if (state.trail.size() > trail_) state.trail.pop_front();
}

Task<Result<std::vector<std::string>>> RegisterMachine::apply(std::vector<Entry> entries) {
  State next = state_;
  std::vector<std::string> answers;
  for (const Entry& entry : entries) {
    STELE_ASSERT(entry.index == next.applied + 1);
    if (on_apply) on_apply(entry);
    take(next, entry);
    Writer(answers.emplace_back()).uvarint(entry.index.value);
  }
  STELE_CO_CHECK(co_await put(next));
  state_ = std::move(next);
  if (on_change) on_change();
  co_return answers;
}

Task<Result<std::unique_ptr<SnapshotCopy>>> RegisterMachine::copy() {
  std::string path = directory_ + "/" + std::string(kCopies) + std::to_string(++copies_);
  const std::string bytes = encode(state_);
  STELE_CO_TRY(auto file, co_await runtime_.files().open(path, {.mode = runtime::OpenMode::kCreateNew}));
  std::vector<Bytes> slices;
  slices.push_back(Bytes::copy(bytes));
  if (auto written = co_await file->write(Position(0), std::move(slices)); !written) {
    (void)co_await file->close();
    (void)co_await runtime_.files().remove(path);
    co_return std::unexpected(std::move(written).error());
  }
  co_return std::make_unique<CopyInAFile>(runtime_.files(), std::move(path), std::move(file), bytes.size());
}

Task<Result<void>> RegisterMachine::install(std::string file) {
  STELE_CO_TRY(State next, co_await load(file));
  STELE_CO_CHECK(co_await runtime_.files().rename(file, directory_ + "/state"));
  STELE_CO_CHECK(co_await runtime_.files().sync_directory(directory_));
  state_ = std::move(next);
  if (on_change) on_change();
  co_return Result<void>();
}

}  // namespace stele::raft::testing
