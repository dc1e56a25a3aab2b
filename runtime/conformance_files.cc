#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "runtime/conformance.h"
#include "runtime/scope.h"

namespace stele::runtime {
namespace {

using namespace std::chrono_literals;

std::vector<Bytes> slices_of(std::string_view text) {
  std::vector<Bytes> result;
  result.push_back(Bytes::copy(text));
  return result;
}

STELE_CONFORMANCE(OpenModes, 1) {
  Files& files = p.runtime().files();
  const std::string path = p.scratch + "/a";
  EXPECT_EQ(code_of(co_await files.open(path, {OpenMode::kRead})), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(co_await files.open(path, {OpenMode::kReadWrite})), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(co_await files.open(p.scratch + "/no/such", {OpenMode::kCreate})), ErrorCode::kNotFound);
  const auto missing = co_await files.open(path, {OpenMode::kRead});
  EXPECT_NE(missing.error().message.find(path), std::string::npos) << "an error names the path";

  auto made = co_await files.open(path, {OpenMode::kCreateNew});
  STELE_REQUIRE(made);
  EXPECT_TRUE(co_await (*made)->write(Position(0), slices_of("kept")));
  EXPECT_TRUE(co_await (*made)->close());
  EXPECT_EQ(code_of(co_await files.open(path, {OpenMode::kCreateNew})), ErrorCode::kAlreadyExists);

  auto again = co_await files.open(path, {OpenMode::kCreate});
  STELE_REQUIRE(again);
  EXPECT_EQ(*co_await (*again)->read(Position(0), 100), Bytes::literal("kept"));
  auto reader = co_await files.open(path, {OpenMode::kRead});
  STELE_REQUIRE(reader);
  EXPECT_EQ(*co_await (*reader)->size(), 4u);
  EXPECT_EQ(code_of(co_await (*reader)->write(Position(0), slices_of("no"))), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(co_await (*reader)->truncate(1)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(*co_await (*reader)->read(Position(0), 100), Bytes::literal("kept"));
  EXPECT_TRUE(co_await (*reader)->close());
  EXPECT_TRUE(co_await (*again)->close());
}

Task<void> read_and_write(ConformanceProcess p, bool own_thread) {
  Files& files = p.runtime().files();
  auto opened = co_await files.open(p.scratch + "/f", {OpenMode::kCreateNew, own_thread});
  STELE_REQUIRE(opened);
  File& file = **opened;
  EXPECT_EQ(*co_await file.size(), 0u);
  EXPECT_TRUE((co_await file.read(Position(0), 10))->empty());

  std::vector<Bytes> slices;
  for (const char* part : {"one ", "two ", "", "three"}) slices.push_back(Bytes::copy(part));
  EXPECT_TRUE(co_await file.write(Position(0), std::move(slices)));
  EXPECT_EQ(*co_await file.read(Position(0), 100), Bytes::literal("one two three"));
  EXPECT_EQ(*co_await file.read(Position(4), 3), Bytes::literal("two"));
  EXPECT_EQ(*co_await file.read(Position(8), 100), Bytes::literal("three"));
  EXPECT_TRUE((co_await file.read(Position(13), 1))->empty());
  EXPECT_TRUE((co_await file.read(Position(1000), 10))->empty());
  EXPECT_TRUE((co_await file.read(Position(0), 0))->empty());
  EXPECT_TRUE(co_await file.write(Position(0), {}));

  EXPECT_TRUE(co_await file.sync());
  EXPECT_TRUE(co_await file.write_and_sync(Position(13), slices_of(" four")));
  EXPECT_EQ(*co_await file.size(), 18u);

  EXPECT_TRUE(co_await file.truncate(3));
  EXPECT_EQ(*co_await file.read(Position(0), 100), Bytes::literal("one"));
  EXPECT_TRUE(co_await file.truncate(5));
  EXPECT_EQ((co_await file.read(Position(0), 100))->view(), std::string_view("one\0\0", 5));
  EXPECT_TRUE(co_await file.write(Position(7), slices_of("x")));
  EXPECT_EQ((co_await file.read(Position(3), 100))->view(), std::string_view("\0\0\0\0x", 5));

  EXPECT_TRUE(co_await file.close());
  EXPECT_EQ(code_of(co_await file.read(Position(0), 1)), ErrorCode::kClosed);
  EXPECT_EQ(code_of(co_await file.write(Position(0), slices_of("y"))), ErrorCode::kClosed);
  EXPECT_EQ(code_of(co_await file.sync()), ErrorCode::kClosed);
}

STELE_CONFORMANCE(AFileIsReadAndWritten, 1) {
  co_await read_and_write(std::move(p), false);
}

STELE_CONFORMANCE(AFileWithItsOwnThreadIsReadAndWritten, 1) {
  co_await read_and_write(std::move(p), true);
}

STELE_CONFORMANCE(AWriteOfManyLargeSlicesIsWhole, 1) {
  Files& files = p.runtime().files();
  auto opened = co_await files.open(p.scratch + "/large", {OpenMode::kCreateNew, true});
  STELE_REQUIRE(opened);
  std::vector<Bytes> slices;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {  // more than one writev takes
    std::string part(static_cast<std::size_t>(i % 977), static_cast<char>('a' + i % 26));
    expected += part;
    slices.push_back(Bytes::copy(part));
  }
  EXPECT_TRUE(co_await (*opened)->write_and_sync(Position(5), std::move(slices)));
  auto read = co_await (*opened)->read(Position(5), expected.size() + 10);
  STELE_REQUIRE(read);
  EXPECT_TRUE(read->view() == expected);
  EXPECT_TRUE(co_await (*opened)->close());
}

Task<void> write_part(File* file, std::uint64_t part, int* left) {
  const std::string content(1000, static_cast<char>('a' + part % 26));
  auto slices = slices_of(content);
  const auto written = part % 3 == 0 ? co_await file->write_and_sync(Position(part * 1000), std::move(slices))
                                     : co_await file->write(Position(part * 1000), std::move(slices));
  EXPECT_TRUE(written);
  --*left;
}

STELE_CONFORMANCE(CallsOfOneFileOverlap, 1) {
  Files& files = p.runtime().files();
  for (bool own_thread : {false, true}) {
    auto opened = co_await files.open(p.scratch + "/o", {OpenMode::kCreate, own_thread});
    STELE_REQUIRE(opened);
    int left = 40;
    Scope scope;
    for (std::uint64_t part = 0; part < 40; ++part) scope.spawn(write_part(opened->get(), part, &left));
    co_await scope.join();
    EXPECT_EQ(left, 0);
    auto read = co_await (*opened)->read(Position(0), 40'000);
    STELE_REQUIRE(read && read->size() == 40'000);
    for (std::size_t part = 0; part < 40; ++part) {
      EXPECT_EQ(read->view()[part * 1000 + 999], static_cast<char>('a' + part % 26));
    }
    EXPECT_TRUE(co_await (*opened)->close());
  }
}

STELE_CONFORMANCE(ATaskMayBeDestroyedWhileItsFileCallRuns, 1) {
  Files& files = p.runtime().files();
  auto opened = co_await files.open(p.scratch + "/gone", {OpenMode::kCreate, true});
  STELE_REQUIRE(opened);
  int left = 2;
  {
    Scope scope;
    scope.spawn(write_part(opened->get(), 0, &left));
    scope.spawn(write_part(opened->get(), 1, &left));
  }
  EXPECT_TRUE(co_await (*opened)->sync());
  EXPECT_EQ(left, 2);
  EXPECT_TRUE(co_await (*opened)->close());
}

STELE_CONFORMANCE(AnOpenFileIsClosedByItsDestructor, 1) {
  Files& files = p.runtime().files();
  for (bool own_thread : {false, true}) {
    for (int i = 0; i < 20; ++i) {
      auto opened = co_await files.open(p.scratch + "/d", {OpenMode::kCreate, own_thread});
      STELE_REQUIRE(opened);
    }
  }
  EXPECT_TRUE(co_await files.remove(p.scratch + "/d"));
}

STELE_CONFORMANCE(DirectoriesAreMadeListedAndRemoved, 1) {
  Files& files = p.runtime().files();
  EXPECT_EQ(code_of(co_await files.list(p.scratch + "/x")), ErrorCode::kNotFound);
  EXPECT_TRUE(co_await files.make_directory(p.scratch + "/x/y/z"));
  EXPECT_TRUE(co_await files.make_directory(p.scratch + "/x/y/z"));
  for (const char* name : {"b", "a", "10", "9"}) {
    auto file = co_await files.open(p.scratch + "/x/" + name, {OpenMode::kCreateNew});
    STELE_REQUIRE(file);
    EXPECT_TRUE(co_await (*file)->close());
  }
  auto listed = co_await files.list(p.scratch + "/x");
  STELE_REQUIRE(listed);
  std::vector<std::string> names;
  for (const auto& entry : *listed) names.push_back(entry.name + (entry.directory ? "/" : ""));
  EXPECT_EQ(names, (std::vector<std::string>{"10", "9", "a", "b", "y/"}));
  EXPECT_TRUE((co_await files.list(p.scratch + "/x/y/z"))->empty());
  EXPECT_TRUE(co_await files.sync_directory(p.scratch + "/x"));
  EXPECT_EQ(code_of(co_await files.sync_directory(p.scratch + "/nowhere")), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(co_await files.make_directory(p.scratch + "/x/a")), ErrorCode::kAlreadyExists);

  EXPECT_EQ(code_of(co_await files.remove(p.scratch + "/x/y")), ErrorCode::kAlreadyExists);
  EXPECT_TRUE(co_await files.remove(p.scratch + "/x/y/z"));
  EXPECT_TRUE(co_await files.remove(p.scratch + "/x/y"));
  EXPECT_TRUE(co_await files.remove(p.scratch + "/x/a"));
  EXPECT_EQ(code_of(co_await files.remove(p.scratch + "/x/a")), ErrorCode::kNotFound);
}

STELE_CONFORMANCE(RenameReplaces, 1) {
  Files& files = p.runtime().files();
  for (const char* name : {"/from", "/to"}) {
    auto file = co_await files.open(p.scratch + name, {OpenMode::kCreateNew});
    STELE_REQUIRE(file);
    EXPECT_TRUE(co_await (*file)->write(Position(0), slices_of(name)));
    EXPECT_TRUE(co_await (*file)->close());
  }
  EXPECT_TRUE(co_await files.rename(p.scratch + "/from", p.scratch + "/to"));
  EXPECT_EQ(code_of(co_await files.open(p.scratch + "/from", {OpenMode::kRead})), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(co_await files.rename(p.scratch + "/from", p.scratch + "/b")), ErrorCode::kNotFound);
  auto moved = co_await files.open(p.scratch + "/to", {OpenMode::kRead});
  STELE_REQUIRE(moved);
  EXPECT_EQ(*co_await (*moved)->read(Position(0), 100), Bytes::literal("/from"));
}

STELE_CONFORMANCE(AFileIsNoDirectoryAndADirectoryNoFile, 1) {
  Files& files = p.runtime().files();
  const std::string file = p.scratch + "/file", directory = p.scratch + "/directory";
  STELE_REQUIRE(co_await files.open(file, {OpenMode::kCreateNew}));
  STELE_REQUIRE(co_await files.make_directory(directory));
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite, OpenMode::kCreate})
    EXPECT_EQ(code_of(co_await files.open(directory, {mode})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(co_await files.open(directory, {OpenMode::kCreateNew})), ErrorCode::kAlreadyExists);
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kCreate})
    EXPECT_EQ(code_of(co_await files.open(file + "/in", {mode})), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(co_await files.list(file)), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(co_await files.sync_directory(file)), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(co_await files.remove(file + "/in")), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(co_await files.make_directory(file + "/in")), ErrorCode::kAlreadyExists);
  EXPECT_EQ(code_of(co_await files.rename(file, directory)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(co_await files.rename(directory, file)), ErrorCode::kNotFound);
  EXPECT_TRUE(co_await files.make_directory(p.scratch + "/other/full"));
  EXPECT_EQ(code_of(co_await files.rename(directory, p.scratch + "/other")), ErrorCode::kAlreadyExists);
  EXPECT_TRUE(co_await files.rename(directory, p.scratch + "/other/full"));
  EXPECT_EQ(code_of(co_await files.list(directory)), ErrorCode::kNotFound);
  EXPECT_TRUE(co_await files.open(p.scratch + "/other/full/in", {OpenMode::kCreateNew}));
}

// What there is room for may be there, from its beginning on.
STELE_CONFORMANCE(AWriteThatFindsNoRoom, 1) {
  Files& files = p.runtime().files();
  auto opened = co_await files.open(p.scratch + "/full", {OpenMode::kCreateNew});
  STELE_REQUIRE(opened);
  File& file = **opened;
  std::string text(40'000, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  EXPECT_TRUE(co_await file.write(Position(0), slices_of(std::string_view(text).substr(0, 1000))));
  p.leave_room(20'000);
  EXPECT_EQ(code_of(co_await file.write(Position(1000), slices_of(std::string_view(text).substr(1000)))),
            ErrorCode::kNoSpace);
  EXPECT_TRUE(co_await file.sync());
  const std::uint64_t size = *co_await file.size();
  EXPECT_GE(size, 1000u);
  EXPECT_LE(size, 21'000u);
  EXPECT_GT(size, 10'000u) << "no backend refuses all of it";
  EXPECT_TRUE((co_await file.read(Position(0), size))->view() == std::string_view(text).substr(0, size));
  // What is there already can be written over.
  EXPECT_TRUE(co_await file.write(Position(0), slices_of(std::string_view(text).substr(0, 1000))));
  p.leave_room({});
  EXPECT_TRUE(co_await file.write(Position(0), slices_of(text)));
  EXPECT_TRUE((co_await file.read(Position(0), text.size()))->view() == text);
}

STELE_CONFORMANCE(ARemovedFileStaysReadableWhileOpen, 1) {
  Files& files = p.runtime().files();
  auto file = co_await files.open(p.scratch + "/f", {OpenMode::kCreateNew});
  STELE_REQUIRE(file);
  EXPECT_TRUE(co_await (*file)->write(Position(0), slices_of("still here")));
  EXPECT_TRUE(co_await files.remove(p.scratch + "/f"));
  EXPECT_EQ(*co_await (*file)->read(Position(6), 4), Bytes::literal("here"));
  EXPECT_TRUE((co_await files.list(p.scratch))->empty());
}

STELE_CONFORMANCE(ALockIsExclusive, 1) {
  Files& files = p.runtime().files();
  auto held = co_await files.lock(p.scratch + "/lock");
  STELE_REQUIRE(held);
  EXPECT_EQ(code_of(co_await files.lock(p.scratch + "/lock")), ErrorCode::kAlreadyExists);
  EXPECT_TRUE(co_await files.lock(p.scratch + "/another"));
  held->reset();
  EXPECT_TRUE(co_await files.lock(p.scratch + "/lock"));
  EXPECT_EQ(code_of(co_await files.lock(p.scratch + "/no/lock")), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace stele::runtime
