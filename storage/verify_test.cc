#include "storage/verify.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/block.h"
#include "storage/segment_store.h"
#include "storage/testing/memory_disk.h"

namespace stele::storage {
namespace {

class VerifyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SegmentStoreOptions options;
    options.directory = "/log";
    options.file_bytes = 32 << 10;
    auto opened = runtime_.run(SegmentStore::open(runtime_, options));
    ASSERT_TRUE(opened);
    store_ = *std::move(opened);
    for (std::uint64_t i = 0; i < 100; ++i) {
      std::optional<Result<void>> done;
      std::vector<LogEntry> entries;
      entries.push_back(
          {.head = Bytes::copy("entry " + std::to_string(i)), .body = Bytes::copy(std::string(900, 'b'))});
      store_->append(SegmentId(1), Epoch(1), i, std::move(entries),
                     [&](Result<void> r) { done = std::move(r); });
      while (!done) ASSERT_TRUE(runtime_.turn());
      ASSERT_TRUE(*done);
    }
    ASSERT_TRUE(runtime_.run(store_->close()));
    store_.reset();
  }
  VerifyReport check() {
    auto report = runtime_.run(verify(runtime_.files(), "/log"));
    EXPECT_TRUE(report);
    return *std::move(report);
  }

  testing::MemoryDisk disk_{1};
  testing::MemoryRuntime runtime_{disk_, 1};
  std::unique_ptr<SegmentStore> store_;
  const std::string first_ = "/log/" + wal_name(FileSequence(1));
};

TEST_F(VerifyTest, ASoundLog) {
  const VerifyReport report = check();
  EXPECT_TRUE(report.sound()) << report.findings.front().to_string();
  EXPECT_EQ(report.entries, 100u);
  EXPECT_EQ(report.segments, 1u);
  EXPECT_GT(report.files, 2u);
}

TEST_F(VerifyTest, FindsEachDamagedBlock) {
  disk_.flip_bit(first_, disk_.content(first_).find("entry 3"));
  disk_.flip_bit(first_, disk_.content(first_).find("entry 7"));
  const VerifyReport report = check();
  ASSERT_EQ(report.findings.size(), 2u);
  for (const VerifyFinding& finding : report.findings) {
    EXPECT_TRUE(finding.damage);
    EXPECT_EQ(finding.file, wal_name(FileSequence(1)));
    EXPECT_NE(finding.what.find("damaged up to position"), std::string::npos);
  }
  EXPECT_EQ(report.entries, 98u);
  EXPECT_FALSE(report.sound());
}

TEST_F(VerifyTest, FindsADamagedHeaderAndAMissingFile) {
  disk_.flip_bit(first_, 20);
  EXPECT_FALSE(check().sound());
  disk_.erase(first_);
  const VerifyReport report = check();
  ASSERT_FALSE(report.findings.empty());
  EXPECT_EQ(report.findings.front().to_string(), "wal-0000000000000001 position 0: the file is missing");
}

TEST_F(VerifyTest, ADamagedCheckpointLosesNothing) {
  for (const std::string& name : disk_.names()) {
    if (name.starts_with("/log/index-")) disk_.flip_bit(name, 30);
  }
  const VerifyReport report = check();
  EXPECT_TRUE(report.sound());
  ASSERT_EQ(report.findings.size(), 1u);
}

}  // namespace
}  // namespace stele::storage
