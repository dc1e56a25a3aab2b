// What a disk does when it is not as it should be.
#include <algorithm>
#include <utility>

#include "base/marks.h"
#include "sim/disk.h"
#include "sim/inode.h"

namespace stele::sim {

void Disk::note_damage(const File& file) {
  ++damages_[file->made_in];
}

std::uint64_t Disk::damages_under(const std::string& directory_of_root) const {
  const auto found = damages_.find(directory_of_root);
  return found == damages_.end() ? 0 : found->second;
}

// --- Places

std::optional<Disk::Spot> Disk::draw_spot(runtime::Random& random) const {
  std::vector<File> files = reachable();
  while (!files.empty()) {
    const std::size_t i = random.below(files.size());
    const std::vector<std::uint64_t> pages = files[i]->content.stored_pages();
    if (!pages.empty()) {
      const std::uint64_t page = pages[random.below(pages.size())];
      const std::uint64_t sectors = FileContent::kPage / config_.sector_bytes;
      return Spot{files[i], page + random.below(sectors) * config_.sector_bytes};
    }
    files.erase(files.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return std::nullopt;
}

bool Disk::flip_bit(runtime::Random& random) {
  std::vector<File> files = reachable();
  while (!files.empty()) {
    const std::size_t i = random.below(files.size());
    if (files[i]->content.flip_bit(random.next() >> 1)) {
      note_damage(files[i]);
      return true;
    }
    files.erase(files.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return false;
}

// --- Sectors that cannot be read

bool Disk::spoil_sectors(runtime::Random& random, std::uint64_t count, bool heals) {
  const auto spot = draw_spot(random);
  if (!spot) return false;
  bad_.push_back({spot->file, spot->position, spot->position + count * config_.sector_bytes, heals});
  if (!heals) note_damage(spot->file);
  return true;
}

void Disk::heal_sectors() {
  std::erase_if(bad_, [](const BadRange& range) { return range.heals || range.file.expired(); });
}

Result<void> Disk::check_readable(const File& file, std::uint64_t from, std::uint64_t to) {
  to = std::min(to, file->content.size());
  for (const BadRange& range : bad_) {
    if (range.from >= to || range.to <= from || range.file.lock() != file) continue;
    ++(range.heals ? effects_.unreadable : effects_.latent);
    return error(ErrorCode::kIo, "the device cannot read the sector at " + std::to_string(range.from));
  }
  return {};
}

// A sector that is written as a whole is a good one again, and what is there is new.
void Disk::forget_what_was_wrong(const File& file, std::uint64_t from, std::uint64_t to) {
  if (bad_.empty() && stale_.empty()) return;
  std::erase_if(stale_, [&](const StaleRange& range) {
    return range.from < to && range.from + range.before.size() > from && range.file.lock() == file;
  });
  const std::uint64_t sector = config_.sector_bytes;
  const std::uint64_t first = (from + sector - 1) / sector * sector, end = to / sector * sector;
  std::vector<BadRange> left;
  for (BadRange& range : bad_) {
    if (range.from >= end || range.to <= first || range.file.lock() != file) {
      left.push_back(std::move(range));
      continue;
    }
    if (range.from < first) left.push_back({range.file, range.from, first, range.heals});
    if (range.to > end) left.push_back({range.file, end, range.to, range.heals});
  }
  bad_ = std::move(left);
}

// --- Writes

// One of the faults that wait for a write.
Result<void> Disk::write_faultily(const File& file, std::uint64_t at, const std::string& whole) {
  if (is_due(faults_.stopping_writes)) return write_part(file, at, whole);
  if (is_due(faults_.torn_writes)) return write_some_sectors(file, at, whole);
  if (is_due(faults_.stale_writes)) {
    std::string before(whole.size(), '\0');
    file->content.read(at, before.data(), before.size());
    STELE_CHECK(put(file, at, whole));
    stale_.push_back({file, at, std::move(before)});
    note_damage(file);
    return {};
  }
  // Lost or misdirected: the file is as long as it would be.
  const std::uint64_t end = at + whole.size();
  STELE_CHECK(grow(*file, end));
  if (end > file->content.size()) file->content.truncate(end, next_write_++);
  note_damage(file);
  if (is_due(faults_.lost_writes)) {
    ++effects_.writes_lost;
    return {};
  }
  --faults_.misdirected_writes;
  return write_elsewhere(whole);
}

Result<void> Disk::write_part(const File& file, std::uint64_t at, std::string_view whole) {
  ++effects_.writes_stopped;
  const std::size_t bytes = random_.below(whole.size());
  if (bytes > 0) STELE_CHECK(put(file, at, whole.substr(0, bytes)));
  return error(ErrorCode::kIo, "the device failed to write more than " + std::to_string(bytes) + " bytes");
}

Result<void> Disk::write_some_sectors(const File& file, std::uint64_t at, std::string_view whole) {
  ++effects_.writes_torn;
  while (!whole.empty()) {
    const std::size_t sector = config_.sector_bytes - at % config_.sector_bytes;
    const std::string_view part = whole.substr(0, sector);
    if (random_.chance(1, 2)) STELE_CHECK(put(file, at, part));
    at += part.size();
    whole.remove_prefix(part.size());
  }
  return error(ErrorCode::kIo, "the device failed to write all of it");
}

// Over something that is stored, without making its file longer.
Result<void> Disk::write_elsewhere(std::string_view whole) {
  ++effects_.writes_misdirected;
  const auto spot = draw_spot(random_);
  if (!spot) return {};
  const std::uint64_t room =
      spot->file->content.size() - std::min(spot->file->content.size(), spot->position);
  const std::string_view part = whole.substr(0, room);
  if (part.empty()) return {};
  note_damage(spot->file);
  return put(spot->file, spot->position, part);
}

void Disk::show_stale(const File& file, std::uint64_t from, char* to, std::size_t length) {
  for (const StaleRange& range : stale_) {
    const std::uint64_t begin = std::max(from, range.from);
    const std::uint64_t end = std::min(from + length, range.from + range.before.size());
    if (begin >= end || range.file.lock() != file) continue;
    ++effects_.reads_stale;
    range.before.copy(to + (begin - from), end - begin, begin - range.from);
  }
}

// --- Names

void Disk::lose_files() {
  for (; faults_.files_to_lose > 0; --faults_.files_to_lose) {
    std::vector<std::pair<File, std::string>> names;
    std::vector<File> directories{root_};
    for (std::size_t i = 0; i < directories.size(); ++i) {
      for (const auto& [name, inode] : File(directories[i])->durable) {
        if (inode->directory) {
          directories.push_back(inode);
        } else {
          names.emplace_back(directories[i], name);
        }
      }
    }
    if (names.empty()) continue;
    STELE_MARK("sim: a file is missing after a loss of power");
    const auto& [directory, name] = names[random_.below(names.size())];
    note_damage(directory->durable.at(name));
    directory->durable.erase(name);
    ++effects_.files_lost;
  }
}

}  // namespace stele::sim
