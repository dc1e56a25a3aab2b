// Writes the corpus of log_fuzz: directories that are whole, and ones that lack or bend something. Run it
// again when the formats change:
//
//   bazel run //fuzz:make_log_corpus -- $PWD/fuzz/corpus/log
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/wire.h"
#include "storage/batch_encoder.h"
#include "storage/block.h"
#include "storage/index_checkpoint.h"
#include "storage/log_index.h"

namespace {

using namespace stele;           // NOLINT: a program of its own
using namespace stele::storage;  // NOLINT

constexpr std::uint64_t kIncarnation = 7;
using Control = ControlRecord;

// One log file, written as the store does.
class LogFile {
 public:
  LogFile(std::uint64_t sequence, const std::vector<FileRecord>& files,
          const std::vector<SegmentRecord>& states)
      : header_{.sequence = FileSequence(sequence), .incarnation = kIncarnation} {
    bytes_.resize(kFileHeaderBytes);
    BatchEncoder batch = begin();
    batch.begin(BlockKind::kFiles, {}, {}, 0);
    batch.add_payload(Bytes::copy(encode_files(files)), static_cast<std::uint32_t>(files.size()));
    batch.begin(BlockKind::kStates, {}, {}, 0);
    batch.add_payload(Bytes::copy(encode_states(states)), static_cast<std::uint32_t>(states.size()));
    end(batch);
    header_.prologue_end = Position(bytes_.size());
    synced_ = header_.prologue_end;
  }
  LogFile& durability(std::uint8_t durability) {
    header_.durability = durability;
    return *this;
  }
  LogFile& entries(std::uint64_t segment, std::uint64_t epoch, std::uint64_t first, int count,
                   BlockKind kind = BlockKind::kEntries) {
    BatchEncoder batch = begin();
    batch.begin(kind, SegmentId(segment), Epoch(epoch), first);
    for (int i = 0; i < count; ++i) {
      batch.add({.head = Bytes::copy("entry " + std::to_string(first + std::uint64_t(i))), .body = {}});
    }
    return end(batch);
  }
  LogFile& controls(const std::vector<Control>& records) {
    BatchEncoder batch = begin();
    batch.begin(BlockKind::kControl, {}, {}, 0);
    batch.add_payload(Bytes::copy(encode_controls(records)), static_cast<std::uint32_t>(records.size()));
    return end(batch);
  }
  LogFile& payload(BlockKind kind, std::string_view payload, std::uint32_t count) {
    BatchEncoder batch = begin();
    batch.begin(kind, SegmentId(1), Epoch(1), 0);
    batch.add_payload(Bytes::copy(payload), count);
    return end(batch);
  }
  // What was written so far is synced.
  LogFile& sync() {
    synced_ = Position(bytes_.size());
    return *this;
  }
  LogFile& flip(std::size_t at) {
    flips_.push_back(at);
    return *this;
  }
  LogFile& cut(std::size_t size) {
    bytes_.resize(size);
    return *this;
  }
  std::uint64_t size() const { return bytes_.size(); }
  std::string content() const {
    std::string file = bytes_;
    file.replace(0, kFileHeaderBytes, encode_file_header(header_).substr(0, bytes_.size()));
    for (const std::size_t at : flips_) file[at] = static_cast<char>(file[at] ^ 1);
    return file;
  }
  const std::vector<PlacedBlock>& blocks() const { return blocks_; }

 private:
  BatchEncoder begin() const { return BatchEncoder(header_.sequence, Position(bytes_.size()), synced_); }
  LogFile& end(BatchEncoder& batch) {
    batch.finish();
    for (const Bytes& slice : batch.take_slices()) bytes_.append(slice.view());
    blocks_.insert(blocks_.end(), batch.blocks().begin(), batch.blocks().end());
    return *this;
  }
  FileHeader header_;
  Position synced_{};
  std::string bytes_;
  std::vector<PlacedBlock> blocks_;
  std::vector<std::size_t> flips_;
};

enum Kind : std::uint8_t { kLog, kIndex, kSpare, kLeftover };

// An input of log_fuzz.
class Directory {
 public:
  explicit Directory(bool mend) : bytes_(1, mend ? '\1' : '\0') {}
  Directory& add(Kind kind, std::uint8_t number, const std::string& content) {
    Writer w(bytes_);
    w.u8(kind).u8(number).le(static_cast<std::uint16_t>(content.size())).bytes(content);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

std::string checkpoint_of(const LogFile& file, std::uint64_t end, std::uint64_t incarnation) {
  LogIndex index({});
  index.add_file(FileSequence(1), Position(end));
  for (const PlacedBlock& block : file.blocks()) index.append(FileSequence(1), block);
  return encode_checkpoint(index, incarnation, FileSequence(9));
}

void add_tails(std::map<std::string, Directory>& all) {
  const auto first = [] { return LogFile(1, {}, {}).entries(1, 1, 0, 3); };
  const auto alone = [&](const std::string& name, const LogFile& file, bool mend = false) {
    all.emplace(name, Directory(mend).add(kLog, 1, file.content()));
  };
  alone("one_file", first());
  alone("one_file_clean", first().controls({{.type = Control::Type::kClean}}));
  alone("clean_then_more", first().controls({{.type = Control::Type::kClean}}).entries(1, 1, 3, 1));
  alone("torn_payload", first().flip(1024 + 100));
  alone("torn_header", first().flip(1024 + 60));
  alone("torn_before_others", first().entries(1, 1, 3, 1).flip(1024 + 100));
  alone("damaged", first().sync().entries(1, 1, 3, 1).flip(1024 + 100));
  alone("stale_remains", first().flip(1024 + 33));
  alone("prologue_damaged", first().flip(512 + 100));
  alone("header_damaged", first().flip(20));
  alone("cut_in_block", first().cut(1024 + 90));
  alone("cut_in_header", LogFile(1, {}, {}).cut(700));
  alone("shorter_than_header", LogFile(1, {}, {}).cut(100));
  alone("flushed", first().durability(1));
  alone("gap_in_segment", first().entries(1, 1, 5, 1));
  alone("controls", first().controls({{Control::Type::kFence, SegmentId(1), 5, true},
                                      {Control::Type::kFence, SegmentId(2), 9, false},
                                      {Control::Type::kTrim, SegmentId(1), 2},
                                      {Control::Type::kTrim, SegmentId(8), 2},
                                      {Control::Type::kRemove, SegmentId(2)},
                                      {Control::Type::kFree, {}, 3}}));
  alone("removed_and_back", first().controls({{Control::Type::kRemove, SegmentId(1)}}).entries(1, 2, 0, 2));
  alone("bad_controls", first().payload(BlockKind::kControl, "\x09", 1), true);
  alone("bad_controls_rest", first().payload(BlockKind::kControl, "\x05\x05", 1), true);
  alone("bad_states", first().payload(BlockKind::kStates, "\x01\x02", 1), true);
  alone("bad_files", first().payload(BlockKind::kFiles, std::string("\0\1", 2), 1), true);
  alone("bad_entries", first().payload(BlockKind::kMoved, "\x09zz", 2), true);
  alone("moved_of_nothing", first().entries(4, 1, 2, 2, BlockKind::kMoved));
}

void add_many(std::map<std::string, Directory>& all) {
  const LogFile one = LogFile(1, {}, {}).entries(1, 1, 0, 3).entries(2, 1, 0, 2).entries(1, 1, 3, 2);
  const FileRecord full{FileSequence(1), Position(one.size())};
  const std::vector<SegmentRecord> states = {{SegmentId(1), 1, 5, Epoch(1), true},
                                             {SegmentId(2), 0, 2, Epoch(3), false}};
  const LogFile two = LogFile(2, {full}, states).entries(1, 1, 5, 1);
  const auto both = [&](const LogFile& first, const LogFile& second) {
    return Directory(false).add(kLog, 1, first.content()).add(kLog, 2, second.content());
  };
  all.emplace("two_files", both(one, two));
  all.emplace("two_files_mended", Directory(true).add(kLog, 1, one.content()).add(kLog, 2, two.content()));
  all.emplace("other_files", both(one, two).add(kSpare, 3, std::string(600, '\0')).add(kLeftover, 4, "x"));
  all.emplace("freed", both(one, LogFile(2, {}, {}).entries(3, 1, 0, 1)));
  all.emplace("freed_by_record", both(one, LogFile(2, {full}, {}).controls({{Control::Type::kFree, {}, 1}})));
  all.emplace("missing_file", Directory(false).add(kLog, 2, two.content()));
  all.emplace("under_another_name", Directory(false).add(kLog, 1, one.content()).add(kLog, 3, two.content()));
  all.emplace("older_damaged", both(LogFile(one).flip(1024 + 90), two));
  all.emplace("older_header_damaged", both(LogFile(one).flip(24), two));
  all.emplace("older_short", both(LogFile(one).cut(1300), two));
  std::vector<SegmentRecord> more = states;
  more[0].end = 7;
  all.emplace("entries_missing", both(one, LogFile(2, {full}, more)));
  all.emplace("moved_here", both(one, LogFile(2, {full}, states)
                                          .entries(1, 1, 0, 3, BlockKind::kMoved)
                                          .entries(2, 1, 0, 2, BlockKind::kMoved)));
  const std::string checkpoint = checkpoint_of(one, one.size(), kIncarnation);
  all.emplace("checkpoint", both(one, two).add(kIndex, 1, checkpoint));
  all.emplace(
      "checkpoint_mended",
      Directory(true).add(kLog, 1, one.content()).add(kLog, 2, two.content()).add(kIndex, 1, checkpoint));
  all.emplace("checkpoint_of_another", both(one, two).add(kIndex, 1, checkpoint_of(one, one.size(), 8)));
  all.emplace("checkpoint_other_end", both(one, two).add(kIndex, 1, checkpoint_of(one, 900, kIncarnation)));
  all.emplace("checkpoint_cut", both(one, two).add(kIndex, 1, checkpoint.substr(0, checkpoint.size() - 1)));
  all.emplace("checkpoint_alone", Directory(false).add(kIndex, 1, checkpoint));
  all.emplace("checkpoint_knows_more",
              Directory(false).add(kLog, 1, one.content()).add(kIndex, 1, checkpoint));
  for (const std::size_t at : {std::size_t{0}, std::size_t{12}, std::size_t{24}, checkpoint.size() - 2}) {
    std::string bent = checkpoint;
    bent[at] = static_cast<char>(bent[at] ^ 0x7f);
    all.emplace("checkpoint_bent_" + std::to_string(at),
                Directory(true).add(kLog, 1, one.content()).add(kLog, 2, two.content()).add(kIndex, 1, bent));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 1;
  }
  std::map<std::string, Directory> all;
  all.emplace("empty", Directory(false));
  add_tails(all);
  add_many(all);
  std::filesystem::create_directories(argv[1]);
  for (const auto& [name, directory] : all) {
    std::ofstream out(std::filesystem::path(argv[1]) / name, std::ios::binary);
    out.write(directory.bytes().data(), static_cast<std::streamsize>(directory.bytes().size()));
    out.close();
    if (out.fail()) return std::fprintf(stderr, "cannot write %s\n", name.c_str()), 1;
  }
  std::printf("%zu inputs\n", all.size());
  return 0;
}
