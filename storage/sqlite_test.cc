#include "storage/sqlite.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <memory>

#include "base/assert.h"
#include "runtime/random.h"
#include "storage/memory_files.h"
#include "storage/sqlite_vfs.h"

namespace stele::storage {
namespace {

constexpr const char* kPath = "data/test.db";

// A process with the database open, and what a job is to it.
struct Process {
  explicit Process(MemoryFiles& files, std::uint64_t seed = 1) : files(files), seed(seed) {}
  SqliteVfs::Job job() { return SqliteVfs::Job(vfs, files, {WallTime{1'700'000'000'000}, seed++}); }
  Result<void> open() {
    auto running = job();
    auto opened = Database::open(vfs, kPath);
    if (!opened) return std::unexpected(opened.error());
    database = *std::move(opened);
    return {};
  }
  // Stores key → value in one transaction.
  Result<void> put(std::map<std::int64_t, std::string> values) {
    auto running = job();
    database->begin();
    database->run("CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, v TEXT) STRICT");
    for (const auto& [key, value] : values) {
      database->run("INSERT OR REPLACE INTO t VALUES(?1, ?2)", key, std::string_view(value));
    }
    database->commit();
    if (!database->failure()) return {};
    Error failure = *database->failure();
    (void)database->roll_back();
    return std::unexpected(std::move(failure));
  }
  Result<std::map<std::int64_t, std::string>> all() {
    auto running = job();
    std::map<std::int64_t, std::string> values;
    database->run("CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, v TEXT) STRICT");
    auto query = database->query("SELECT k, v FROM t");
    while (query.next()) values.emplace(query.integer(0), query.text(1));
    if (database->failure()) return std::unexpected(*database->failure());
    return values;
  }

  MemoryFiles& files;
  std::uint64_t seed;
  SqliteVfs vfs;
  std::unique_ptr<Database> database;
};

using Values = std::map<std::int64_t, std::string>;

TEST(Sqlite, KeepsWhatWasCommitted) {
  MemoryFiles files;
  {
    Process process(files);
    ASSERT_TRUE(process.open());
    ASSERT_TRUE(process.put({{1, "one"}, {2, "two"}}));
    ASSERT_TRUE(process.put({{2, "zwei"}}));
  }
  runtime::Random random(1);
  files.restart(random);
  Process process(files);
  ASSERT_TRUE(process.open());
  EXPECT_EQ(process.all(), (Values{{1, "one"}, {2, "zwei"}}));
}

TEST(Sqlite, SetsWhatItPromises) {
  MemoryFiles files;
  Process process(files);
  ASSERT_TRUE(process.open());
  ASSERT_TRUE(process.put({{1, "one"}}));
  auto job = process.job();
  const auto pragma = [&](std::string_view sql) {
    auto query = process.database->query(sql);
    return query.next() ? std::string(query.text(0)) : std::string("nothing");
  };
  EXPECT_EQ(pragma("PRAGMA journal_mode"), "truncate");
  EXPECT_EQ(pragma("PRAGMA locking_mode"), "exclusive");
  EXPECT_EQ(pragma("PRAGMA synchronous"), "3");
  EXPECT_EQ(pragma("PRAGMA page_size"), "4096");
  EXPECT_EQ(pragma("PRAGMA temp_store"), "2");
  EXPECT_EQ(pragma("SELECT strftime('%s', 'now')"), "1700000000");  // the job's time
  EXPECT_EQ(files.content(kPath)[20], char(SqliteVfs::kReservedBytes));
}

TEST(Sqlite, ClosingOutsideOfAJobDoesNoIo) {
  MemoryFiles files;
  auto process = std::make_unique<Process>(files);
  ASSERT_TRUE(process->open());
  ASSERT_TRUE(process->put({{1, "one"}}));
  {
    auto job = process->job();
    process->database->begin();
    process->database->run("INSERT INTO t VALUES(5, 'five')");
  }
  const std::uint64_t before = files.calls();
  process.reset();
  EXPECT_EQ(files.calls(), before);
}

TEST(Sqlite, ManyInstancesLiveSideBySide) {
  MemoryFiles a, b;
  Process first(a), second(b);
  ASSERT_TRUE(first.open());
  ASSERT_TRUE(second.open());
  ASSERT_TRUE(first.put({{1, "first"}}));
  ASSERT_TRUE(second.put({{1, "second"}}));
  EXPECT_EQ(first.all(), (Values{{1, "first"}}));
  EXPECT_EQ(second.all(), (Values{{1, "second"}}));
}

TEST(Sqlite, TheSameSeedWritesTheSameBytes) {
  const auto run = [](std::uint64_t seed) {
    MemoryFiles files;
    Process process(files, seed);
    EXPECT_TRUE(process.open());
    EXPECT_TRUE(process.put({{1, "one"}}));
    files.crash_at_call = files.calls() + 12;  // somewhere inside, with a journal on the disk
    EXPECT_FALSE(process.put({{1, std::string(20'000, 'x')}}));
    return files.content(std::string(kPath) + "-journal") + files.content(kPath);
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));  // the journal's nonce
}

TEST(Sqlite, AFullDiskIsNoSpaceAndPasses) {
  MemoryFiles files;
  Process process(files);
  ASSERT_TRUE(process.open());
  ASSERT_TRUE(process.put({{1, "one"}}));
  files.capacity_bytes = 64 * 1024;
  auto full = process.put({{2, std::string(200'000, 'x')}});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kNoSpace) << full.error().message;
  EXPECT_EQ(process.all(), (Values{{1, "one"}}));
  ASSERT_TRUE(process.put({{3, "three"}}));
  EXPECT_EQ(process.all(), (Values{{1, "one"}, {3, "three"}}));
}

TEST(Sqlite, AFailedSyncPoisons) {
  MemoryFiles files;
  {
    Process process(files);
    ASSERT_TRUE(process.open());
    ASSERT_TRUE(process.put({{1, "one"}}));
    files.fail_sync_at_call = files.calls();
    auto failed = process.put({{1, "two"}});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::kIo);
    EXPECT_NE(failed.error().message.find("sync failed"), std::string::npos) << failed.error().message;
    EXPECT_FALSE(process.put({{1, "three"}}));
  }
  Process next(files);
  ASSERT_TRUE(next.open());
  EXPECT_EQ(next.all(), (Values{{1, "one"}}));
}

TEST(Sqlite, DamageIsFoundOnReading) {
  MemoryFiles files;
  {
    Process process(files);
    ASSERT_TRUE(process.open());
    ASSERT_TRUE(process.put({{1, std::string(30'000, 'x')}}));
  }
  const std::string good = files.content(kPath);
  ASSERT_GT(good.size(), 4 * 4096U);
  // A flipped bit in an overflow page, which SQLite alone would hand out as data.
  files.content(kPath)[3 * 4096 + 2000] ^= 1;
  Process process(files);
  ASSERT_TRUE(process.open());
  auto read = process.all();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(read.error().message.find("the page at byte 12288 fails its checksum"), std::string::npos)
      << read.error().message;
  // A page in another's place.
  files.content(kPath) = good;
  files.content(kPath).replace(3 * 4096, 4096, good.substr(4 * 4096, 4096));
  Process moved(files);
  ASSERT_TRUE(moved.open());
  EXPECT_FALSE(moved.all());
}

TEST(Sqlite, AnythingElseIsNoDatabase) {
  MemoryFiles files;
  {
    Process process(files);
    ASSERT_TRUE(process.open());
    ASSERT_TRUE(process.put({{1, "one"}}));
  }
  files.content(kPath) = std::string(8192, 'z');
  Process process(files);
  auto opened = process.open();
  if (opened) opened = process.put({{1, "two"}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
}

// Transactions of random size; a crash at a random call; then all that was answered is there and the last
// transaction is there or not, never half.
RC_GTEST_PROP(Sqlite, CrashesAnywhere, (std::uint64_t seed)) {
  runtime::Random random(seed);
  MemoryFiles files;
  Values stored;
  for (int life = 0; life < 4; ++life) {
    Values attempted;
    {
      Process process(files, random.next());
      files.crash_at_call = files.calls() + 1 + random.below(120);
      Result<void> done = process.open();
      while (done) {
        Values values;
        for (std::uint64_t i = 0, n = 1 + random.below(12); i < n; ++i) {
          values[random.between(1, 40)] = std::string(random.below(3000), char('a' + random.below(26)));
        }
        attempted = stored;
        for (const auto& [key, value] : values) attempted[key] = value;
        done = process.put(values);
        if (done) stored = attempted;
      }
      RC_ASSERT(files.crashed());
    }
    files.restart(random);
    Process process(files, random.next());
    RC_ASSERT(process.open().has_value());
    auto found = process.all();
    RC_ASSERT(found.has_value());
    RC_ASSERT(*found == stored || *found == attempted);
    stored = *found;
  }
}

}  // namespace
}  // namespace stele::storage
