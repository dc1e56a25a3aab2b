// The bytes of one file on a simulated disk, in two layers: as a process reads them, and as they are on the
// platter. Kept by page of 4 KiB, and within it by sector; what is zero on both layers takes no memory.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "runtime/random.h"

namespace stele::sim {

// How a loss of power treats sectors that were not synced.
struct PowerLoss {
  std::uint64_t keep_writes_to = 0;  // sectors last written by a write up to this number are kept
  std::uint32_t keep_of_8 = 0;       // of the others, so many of 8
  bool tear = false;                 // the sector written last keeps a prefix of what was written
};

class FileContent {
 public:
  static constexpr std::size_t kPage = 4096;

  explicit FileContent(std::size_t sector_bytes);

  std::uint64_t size() const { return size_; }
  std::size_t read(std::uint64_t position, char* to, std::size_t length) const;
  // `number` grows from write to write over the whole disk.
  void write(std::uint64_t position, std::string_view from, std::uint64_t number);
  void truncate(std::uint64_t size, std::uint64_t number);

  // Everything reaches the platter.
  void sync();
  // A part of the dirty sectors reaches it; the others count as clean.
  void sync_fails(runtime::Random& random);
  // The system writes a page back by itself.
  void write_back(std::uint64_t position);
  // Losing power now would lose nothing.
  bool stored() const {
    return dirty_pages_.empty() && size_ == durable_size_ && truncated_to_ == kNowhere && !lost_any_;
  }
  // The number of the last write that is not synced; 0 if there is none.
  std::uint64_t last_unsynced_write() const;

  struct Lost {
    std::uint64_t sectors = 0;
    std::uint64_t torn = 0;
  };
  Lost lose_power(const PowerLoss& how, runtime::Random& random);

  std::uint64_t resident_bytes() const;
  // Where the pages begin of which the platter holds something other than zeros.
  std::vector<std::uint64_t> stored_pages() const;
  // Flips a bit of a stored page; `which` chooses among them. False if there is none.
  bool flip_bit(std::uint64_t which);

 private:
  static constexpr std::uint64_t kNowhere = UINT64_MAX;
  using Block = std::unique_ptr<char[]>;

  struct Page {
    Block cache;             // null: as on the platter
    Block platter;           // null: zeros
    std::uint8_t dirty = 0;  // sectors to be written at the next sync
    std::uint8_t lost = 0;   // sectors that a failed sync left different on the platter, and clean
    bool listed = false;     // in dirty_pages_
    std::uint64_t written[8] = {};
  };

  bool hidden(std::uint64_t index) const { return index * kPage >= truncated_to_; }
  const char* visible(std::uint64_t index, const Page& page) const;
  char* cache_of(std::uint64_t index, Page& page);
  void mark(std::uint64_t index, Page& page, std::size_t from, std::size_t to, std::uint64_t number);
  void to_platter(Page& page, std::size_t sector, std::size_t bytes) const;
  void write_back_page(Page& page) const;
  void drop_platter_from(std::uint64_t position);
  void revert_from(std::uint64_t position);
  std::uint64_t draw_size(runtime::Random& random) const;
  Page* last_written_page(std::size_t* sector);

  const std::size_t sector_;
  const std::size_t sectors_per_page_;
  std::map<std::uint64_t, Page> pages_;
  std::vector<std::uint64_t> dirty_pages_;
  std::uint64_t size_ = 0;
  std::uint64_t durable_size_ = 0;
  // The lowest size to which it was cut since the last sync: what the platter holds beyond is not read.
  std::uint64_t truncated_to_ = kNowhere;
  bool lost_any_ = false;  // a sync failed since power was last lost
};

}  // namespace stele::sim
