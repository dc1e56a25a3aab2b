#include "sim/file_content.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace stele::sim {
namespace {

bool all_zero(const char* data, std::size_t length) {
  return length == 0 || (data[0] == 0 && std::memcmp(data, data + 1, length - 1) == 0);
}

std::unique_ptr<char[]> zeros(std::size_t length) {
  return std::make_unique<char[]>(length);
}

}  // namespace

FileContent::FileContent(std::size_t sector_bytes)
    : sector_(sector_bytes), sectors_per_page_(kPage / sector_bytes) {
  STELE_ASSERT(sector_bytes == 512 || sector_bytes == 1024 || sector_bytes == 2048 || sector_bytes == kPage);
}

// What a process sees of the page; null: zeros.
const char* FileContent::visible(std::uint64_t index, const Page& page) const {
  if (page.cache) return page.cache.get();
  return hidden(index) ? nullptr : page.platter.get();
}

std::size_t FileContent::read(std::uint64_t position, char* to, std::size_t length) const {
  if (position >= size_) return 0;
  length = std::min<std::uint64_t>(length, size_ - position);
  auto page = pages_.lower_bound(position / kPage);
  for (std::size_t done = 0; done < length;) {
    const std::uint64_t index = (position + done) / kPage;
    const std::size_t within = (position + done) % kPage;
    const std::size_t part = std::min(kPage - within, length - done);
    const char* content = nullptr;
    if (page != pages_.end() && page->first == index) content = visible(index, (page++)->second);
    if (content) {
      std::memcpy(to + done, content + within, part);
    } else {
      std::memset(to + done, 0, part);
    }
    done += part;
  }
  return length;
}

// The page's own copy, to be changed.
char* FileContent::cache_of(std::uint64_t index, Page& page) {
  if (page.cache) return page.cache.get();
  const char* content = visible(index, page);
  if (content) {
    page.cache = std::make_unique_for_overwrite<char[]>(kPage);
    std::memcpy(page.cache.get(), content, kPage);
  } else {
    page.cache = zeros(kPage);
  }
  return page.cache.get();
}

void FileContent::mark(std::uint64_t index, Page& page, std::size_t from, std::size_t to,
                       std::uint64_t number) {
  for (std::size_t sector = from / sector_; sector <= (to - 1) / sector_; ++sector) {
    page.dirty |= 1u << sector;
    page.lost &= ~(1u << sector);
    page.written[sector] = number;
  }
  if (!std::exchange(page.listed, true)) dirty_pages_.push_back(index);
}

void FileContent::write(std::uint64_t position, std::string_view from, std::uint64_t number) {
  size_ = std::max(size_, position + from.size());
  while (!from.empty()) {
    const std::uint64_t index = position / kPage;
    const std::size_t within = position % kPage;
    const std::size_t part = std::min(kPage - within, from.size());
    auto found = pages_.find(index);
    const bool was_zero = found == pages_.end() || (!found->second.cache && !found->second.platter);
    if (!was_zero || !all_zero(from.data(), part)) {
      if (found == pages_.end()) found = pages_.try_emplace(index).first;
      Page& page = found->second;
      std::memcpy(cache_of(index, page) + within, from.data(), part);
      mark(index, page, within, within + part, number);
    }
    position += part;
    from.remove_prefix(part);
  }
}

void FileContent::truncate(std::uint64_t size, std::uint64_t number) {
  const std::uint64_t before = std::exchange(size_, size);
  if (size >= before) return;
  // The page in which the new end lies keeps its head.
  const std::uint64_t index = size / kPage;
  const std::size_t within = size % kPage;
  if (within > 0) {
    if (auto found = pages_.find(index); found != pages_.end() && visible(index, found->second)) {
      std::memset(cache_of(index, found->second) + within, 0, kPage - within);
      mark(index, found->second, within, kPage, number);
    }
  }
  const std::uint64_t first_hidden = index + (within > 0 ? 1 : 0);
  for (auto it = pages_.lower_bound(first_hidden); it != pages_.end();) {
    Page& page = it->second;
    page.cache.reset();
    page.dirty = page.lost = 0;
    page.listed = false;
    it = page.platter ? std::next(it) : pages_.erase(it);
  }
  std::erase_if(dirty_pages_, [&](std::uint64_t listed) { return listed >= first_hidden; });
  truncated_to_ = std::min(truncated_to_, size);
}

// Of one sector, the first `bytes` bytes.
void FileContent::to_platter(Page& page, std::size_t sector, std::size_t bytes) const {
  if (!page.platter) page.platter = zeros(kPage);
  std::memcpy(page.platter.get() + sector * sector_, page.cache.get() + sector * sector_, bytes);
}

void FileContent::write_back_page(Page& page) const {
  if (page.dirty == 0) return;
  STELE_ASSERT(page.cache);
  if (page.lost == 0) {
    page.platter = std::move(page.cache);
  } else {
    for (std::size_t sector = 0; sector < sectors_per_page_; ++sector) {
      if (page.dirty & (1u << sector)) to_platter(page, sector, sector_);
    }
  }
  page.dirty = 0;
}

// What the platter holds from `position` on is zero.
void FileContent::drop_platter_from(std::uint64_t position) {
  const std::uint64_t index = position / kPage;
  for (auto it = pages_.lower_bound(index); it != pages_.end();) {
    Page& page = it->second;
    if (it->first == index && position % kPage != 0) {
      if (page.platter) std::memset(page.platter.get() + position % kPage, 0, kPage - position % kPage);
      ++it;
    } else {
      page.platter.reset();
      it = page.cache ? std::next(it) : pages_.erase(it);
    }
  }
}

void FileContent::sync() {
  if (truncated_to_ != kNowhere) drop_platter_from(std::exchange(truncated_to_, kNowhere));
  for (const std::uint64_t index : dirty_pages_) {
    Page& page = pages_.at(index);
    page.listed = false;
    write_back_page(page);
  }
  dirty_pages_.clear();
  durable_size_ = size_;
}

void FileContent::sync_fails(runtime::Random& random) {
  for (const std::uint64_t index : dirty_pages_) {
    Page& page = pages_.at(index);
    page.listed = false;
    for (std::size_t sector = 0; sector < sectors_per_page_; ++sector) {
      const std::uint8_t bit = 1u << sector;
      if (!(page.dirty & bit)) continue;
      page.dirty &= ~bit;
      // What is beyond a cut that is not durable itself stays off the platter.
      const bool beyond = index * kPage + (sector + 1) * sector_ > truncated_to_;
      if (!beyond && random.chance(1, 2)) {
        to_platter(page, sector, sector_);
      } else {
        page.lost |= bit;
      }
    }
  }
  dirty_pages_.clear();
  lost_any_ = true;
}

void FileContent::write_back(std::uint64_t position) {
  const auto found = pages_.find(position / kPage);
  if (found == pages_.end() || (found->first + 1) * kPage > truncated_to_) return;
  write_back_page(found->second);
}

std::uint64_t FileContent::last_unsynced_write() const {
  std::uint64_t last = 0;
  for (const std::uint64_t index : dirty_pages_) {
    const Page& page = pages_.at(index);
    for (std::size_t sector = 0; sector < sectors_per_page_; ++sector) {
      if (page.dirty & (1u << sector)) last = std::max(last, page.written[sector]);
    }
  }
  return last;
}

FileContent::Page* FileContent::last_written_page(std::size_t* sector) {
  Page* last = nullptr;
  for (const std::uint64_t index : dirty_pages_) {
    Page& page = pages_.at(index);
    for (std::size_t i = 0; i < sectors_per_page_; ++i) {
      if (!(page.dirty & (1u << i))) continue;
      if (last && page.written[i] < last->written[*sector]) continue;
      last = &page;
      *sector = i;
    }
  }
  return last;
}

// A cut that did not reach the platter: what was written behind it afterwards did not either.
void FileContent::revert_from(std::uint64_t position) {
  for (const std::uint64_t index : dirty_pages_) {
    Page& page = pages_.at(index);
    for (std::size_t sector = 0; sector < sectors_per_page_; ++sector) {
      if (index * kPage + (sector + 1) * sector_ > position) page.dirty &= ~(1u << sector);
    }
  }
}

// Growing is not one step for a file system: any size in between may be what is found.
std::uint64_t FileContent::draw_size(runtime::Random& random) const {
  if (size_ <= durable_size_) return durable_size_;
  const std::uint64_t choice = random.below(4);
  if (choice == 0) return durable_size_;
  if (choice <= 2) return size_;
  const std::uint64_t first = durable_size_ / sector_, last = size_ / sector_;
  return std::clamp((first + random.below(last - first + 1)) * sector_, durable_size_, size_);
}

FileContent::Lost FileContent::lose_power(const PowerLoss& how, runtime::Random& random) {
  Lost lost;
  std::sort(dirty_pages_.begin(), dirty_pages_.end());
  if (truncated_to_ < durable_size_) {
    if (random.chance(1, 2)) {
      drop_platter_from(truncated_to_);
      durable_size_ = truncated_to_;
    } else {
      revert_from(truncated_to_);
      size_ = durable_size_;
    }
  } else if (truncated_to_ != kNowhere) {
    drop_platter_from(truncated_to_);
  }
  const std::uint64_t size = draw_size(random);
  std::size_t torn_sector = 0;
  Page* torn = how.tear ? last_written_page(&torn_sector) : nullptr;
  for (const std::uint64_t index : dirty_pages_) {
    Page& page = pages_.at(index);
    for (std::size_t sector = 0; sector < sectors_per_page_; ++sector) {
      if (!(page.dirty & (1u << sector))) continue;
      if (&page == torn && sector == torn_sector) {
        to_platter(page, sector, 1 + random.below(sector_ - 1));
        ++lost.torn;
      } else if (page.written[sector] <= how.keep_writes_to || random.chance(how.keep_of_8, 8)) {
        to_platter(page, sector, sector_);
      } else {
        ++lost.sectors;
      }
    }
  }
  for (auto it = pages_.begin(); it != pages_.end();) {
    Page& page = it->second;
    page.cache.reset();
    page.dirty = page.lost = 0;
    page.listed = false;
    it = page.platter ? std::next(it) : pages_.erase(it);
  }
  dirty_pages_.clear();
  truncated_to_ = kNowhere;
  lost_any_ = false;
  size_ = durable_size_ = size;
  drop_platter_from(size);
  return lost;
}

std::uint64_t FileContent::resident_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [index, page] : pages_) bytes += (page.cache ? kPage : 0) + (page.platter ? kPage : 0);
  return bytes;
}

std::vector<std::uint64_t> FileContent::stored_pages() const {
  std::vector<std::uint64_t> found;
  for (const auto& [index, page] : pages_) {
    if (page.platter && index * kPage < durable_size_) found.push_back(index * kPage);
  }
  return found;
}

bool FileContent::flip_bit(std::uint64_t which) {
  const std::vector<std::uint64_t> stored = stored_pages();
  if (stored.empty()) return false;
  const std::uint64_t start = stored[which % stored.size()];
  const std::uint64_t bytes = std::min<std::uint64_t>(kPage, durable_size_ - start);
  const std::uint64_t bit = which / stored.size() % (bytes * 8);
  pages_.at(start / kPage).platter[bit / 8] ^= static_cast<char>(1 << (bit % 8));
  return true;
}

}  // namespace stele::sim
