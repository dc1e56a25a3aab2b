#include "sim/disk.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/marks.h"
#include "sim/inode.h"

namespace stele::sim {

// Where a path leads: a name in a directory, which may not be there.
struct Disk::Place {
  File directory;
  std::string name;
  File inode() const {
    const auto found = directory->entries.find(name);
    return found == directory->entries.end() ? nullptr : found->second;
  }
};

// Names that change together.
struct Disk::NameOperation {
  struct Edit {
    File directory;
    std::string name;
    File inode;  // null: the name goes
    bool synced = false;
  };
  std::vector<Edit> edits;

  bool all_synced() const { return std::ranges::all_of(edits, &Edit::synced); }
  bool touches_a_name_of(const NameOperation& other) const {
    return std::ranges::any_of(edits, [&](const Edit& a) {
      return std::ranges::any_of(
          other.edits, [&](const Edit& b) { return a.directory == b.directory && a.name == b.name; });
    });
  }
};

namespace {

// A directory that takes another name may need another block.
constexpr std::uint64_t kRoomForName = 4096;

std::unexpected<Error> not_found(std::string_view doing, std::string_view path) {
  return error(ErrorCode::kNotFound,
               std::string(doing) + " " + std::string(path) + ": no such file or directory");
}

}  // namespace

std::string normalise_path(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    at = end + 1;
  }
  std::string out;
  for (const std::string_view part : parts) out.append("/").append(part);
  return out.empty() ? "/" : out;
}

Disk::Disk(const DiskConfig& config, runtime::Random random)
    : config_(config), random_(random), capacity_(config.capacity_bytes) {
  root_ = std::make_shared<Inode>(*this, 0, true, "");
  inodes_.push_back(root_);
}

Disk::~Disk() {
  journal_.clear();
  root_.reset();
}

void Disk::release(std::uint64_t bytes) {
  STELE_ASSERT(used_ >= bytes);
  used_ -= bytes;
}

Result<Disk::Place> Disk::place_of(const std::string& path) const {
  const std::string whole = normalise_path(path);
  Place place{root_, ""};
  for (std::size_t at = 1; at < whole.size();) {
    const std::size_t end = std::min(whole.find('/', at), whole.size());
    if (!place.name.empty()) {
      const File next = place.inode();
      if (!next || !next->directory) return not_found("finding", path);
      place.directory = next;
    }
    place.name = whole.substr(at, end - at);
    at = end + 1;
  }
  return place;
}

std::shared_ptr<Inode> Disk::make_inode(const std::string& path, bool directory) {
  const std::string whole = normalise_path(path);
  auto made = std::make_shared<Inode>(*this, next_inode_++, directory, whole.substr(0, whole.find('/', 1)));
  inodes_.push_back(made);
  return made;
}

Result<void> Disk::fail_if(std::uint32_t& left, std::uint64_t& failed, std::string_view doing,
                           std::string_view path) {
  const bool by_number = faults_.fails_at > 0 && --faults_.fails_at == 0;
  if (!by_number && !is_due(left)) return {};
  ++(by_number ? effects_.operations_failed : failed);
  return error(ErrorCode::kIo, std::string(doing) + " " + std::string(path) + ": the device failed");
}

// --- Files

Result<Disk::File> Disk::open(const std::string& path, runtime::OpenMode mode) {
  using runtime::OpenMode;
  STELE_CHECK(fail_if(faults_.failing_opens, effects_.opens_failed, "opening", path));
  STELE_TRY(const Place place, place_of(path));
  File file = place.name.empty() ? root_ : place.inode();
  if (file) {
    if (mode == OpenMode::kCreateNew) {
      return error(ErrorCode::kAlreadyExists, "opening " + path + ": it exists");
    }
    if (file->directory) {
      return error(ErrorCode::kInvalidArgument, "opening " + path + ": it is a directory");
    }
    return file;
  }
  if (mode == OpenMode::kRead || mode == OpenMode::kReadWrite) return not_found("opening", path);
  STELE_CHECK(make_room_for_name("opening", path));
  file = make_inode(path, false);
  record({{{place.directory, place.name, file}}});
  return file;
}

std::uint64_t Disk::size(const File& file) const {
  return file->content.size();
}

Result<std::uint64_t> Disk::tell_size(const File& file) {
  STELE_CHECK(fail_if(faults_.failing_stats, effects_.stats_failed, "reading the size of", "a file"));
  return file->content.size();
}

Result<std::size_t> Disk::read(const File& file, Position position, char* to, std::size_t length) {
  STELE_CHECK(fail_if(faults_.failing_reads, effects_.reads_failed, "reading", "a sector"));
  if (!bad_.empty()) STELE_CHECK(check_readable(file, position.value, position.value + length));
  const std::size_t got = file->content.read(position.value, to, length);
  if (got > 0 && is_due(faults_.misdirected_reads)) {
    if (const auto spot = draw_spot(random_)) {
      ++effects_.reads_misdirected;
      note_damage(file);
      const std::size_t there = spot->file->content.read(spot->position, to, got);
      std::fill(to + there, to + got, '\0');
    }
  } else if (!stale_.empty()) {
    show_stale(file, position.value, to, got);
  }
  return got;
}

Result<void> Disk::grow(Inode& inode, std::uint64_t size) {
  if (size <= inode.content.size()) return {};
  const std::uint64_t more = size - inode.content.size();
  if (more > capacity_ - std::min(used_, capacity_)) {
    ++effects_.no_space;
    return error(ErrorCode::kNoSpace, "no space left on the device");
  }
  used_ += more;
  return {};
}

// A new name may need a block, which a full disk does not have.
Result<void> Disk::make_room_for_name(std::string_view doing, const std::string& path) {
  if (kRoomForName <= capacity_ - std::min(used_, capacity_) || random_.chance(1, 2)) return {};
  ++effects_.no_space;
  return error(ErrorCode::kNoSpace, std::string(doing) + " " + path + ": no space left on the device");
}

Result<void> Disk::write(const File& file, Position position, std::span<const std::string_view> slices) {
  STELE_CHECK(fail_if(faults_.failing_writes, effects_.writes_failed, "writing", "a sector"));
  if (faults_.any_of_writes()) {
    std::string whole;
    for (const std::string_view slice : slices) whole.append(slice);
    if (!whole.empty()) return write_faultily(file, position.value, whole);
  }
  std::uint64_t at = position.value;
  for (const std::string_view slice : slices) {
    if (slice.empty()) continue;
    STELE_CHECK(put(file, at, slice));  // what came before stays written
    at += slice.size();
  }
  return {};
}

// Where there is no room for all of it, the sectors for which there is are written, as Linux does.
Result<void> Disk::put(const File& file, std::uint64_t at, std::string_view bytes) {
  if (const auto grown = grow(*file, at + bytes.size()); !grown) {
    const std::uint64_t room = file->content.size() + capacity_ - std::min(used_, capacity_);
    const std::uint64_t end = room / config_.sector_bytes * config_.sector_bytes;
    if (end > at) STELE_CHECK(put(file, at, bytes.substr(0, end - at)));
    return grown;
  }
  if (config_.early_write_back_one_in > 0 && random_.chance(1, config_.early_write_back_one_in)) {
    file->content.write_back(at);
  }
  forget_what_was_wrong(file, at, at + bytes.size());
  file->content.write(at, bytes, next_write_++);
  return {};
}

Result<void> Disk::sync(const File& file) {
  if (auto fails = fail_if(faults_.failing_syncs, effects_.syncs_failed, "writing back", "pages"); !fails) {
    file->content.sync_fails(random_);
    return fails;
  }
  if (is_due(faults_.full_syncs)) {
    ++effects_.syncs_full;
    file->content.sync_fails(random_);
    return error(ErrorCode::kNoSpace, "no space left on the device");
  }
  if (is_due(faults_.lying_syncs)) {
    ++effects_.syncs_lied;
    note_damage(file);
    file->content.sync_fails(random_);
    return {};
  }
  file->content.sync();
  return {};
}

Result<void> Disk::truncate(const File& file, std::uint64_t size) {
  STELE_CHECK(fail_if(faults_.failing_truncates, effects_.truncates_failed, "cutting", "a file"));
  const std::uint64_t before = file->content.size();
  STELE_CHECK(grow(*file, size));
  file->content.truncate(size, next_write_++);
  if (size < before) release(before - size);
  return {};
}

// --- Names

// Changes the names at once; durable later.
void Disk::record(NameOperation operation) {
  for (const auto& edit : operation.edits) {
    if (edit.inode) {
      edit.directory->entries[edit.name] = edit.inode;
    } else {
      edit.directory->entries.erase(edit.name);
    }
  }
  journal_.push_back(std::move(operation));
  if (inodes_.size() > 64 && inodes_.size() % 64 == 0) {
    std::erase_if(inodes_, [](const auto& inode) { return inode.expired(); });
  }
}

void Disk::apply_durably(const NameOperation& operation) {
  for (const auto& edit : operation.edits) {
    if (edit.inode) {
      edit.directory->durable[edit.name] = edit.inode;
    } else {
      edit.directory->durable.erase(edit.name);
    }
  }
}

Result<std::vector<runtime::DirectoryEntry>> Disk::list(const std::string& path) {
  STELE_CHECK(fail_if(faults_.failing_lists, effects_.lists_failed, "listing", path));
  STELE_TRY(const Place place, place_of(path));
  const File directory = place.name.empty() ? root_ : place.inode();
  if (!directory || !directory->directory) return not_found("listing", path);
  std::vector<runtime::DirectoryEntry> entries;
  for (const auto& [name, inode] : directory->entries) entries.push_back({name, inode->directory});
  return entries;
}

Result<void> Disk::make_directory(const std::string& path) {
  STELE_CHECK(fail_if(faults_.failing_directories, effects_.directories_failed, "making directory", path));
  const std::string whole = normalise_path(path);
  for (std::size_t end = 1; end <= whole.size(); ++end) {
    if (end < whole.size() && whole[end] != '/') continue;
    if (whole == "/") break;
    const std::string part = whole.substr(0, end);
    STELE_TRY(const Place place, place_of(part));
    if (const File there = place.inode()) {
      if (there->directory) continue;
      return error(ErrorCode::kAlreadyExists, "making directory " + part + ": a file has that name");
    }
    STELE_CHECK(make_room_for_name("making directory", part));
    record({{{place.directory, place.name, make_inode(part, true)}}});
  }
  return {};
}

Result<void> Disk::rename(const std::string& from, const std::string& to) {
  STELE_CHECK(fail_if(faults_.failing_renames, effects_.renames_failed, "renaming", from));
  STELE_TRY(const Place source, place_of(from));
  STELE_TRY(const Place target, place_of(to));
  const File moved = source.name.empty() ? nullptr : source.inode();
  if (!moved) return not_found("renaming", from);
  const File replaced = target.inode();
  if (replaced == moved) return {};
  const auto in_the_way = [&](ErrorCode code, const char* what) {
    return error(code, "renaming " + from + " to " + to + ": " + what);
  };
  if (replaced && replaced->directory && !moved->directory)
    return in_the_way(ErrorCode::kInvalidArgument, "it is a directory");
  if (replaced && moved->directory && !replaced->directory)
    return in_the_way(ErrorCode::kNotFound, "it is no directory");
  if (replaced && !replaced->entries.empty())
    return in_the_way(ErrorCode::kAlreadyExists, "the directory is not empty");
  STELE_CHECK(make_room_for_name("renaming", from));
  record({{{source.directory, source.name, nullptr}, {target.directory, target.name, moved}}});
  return {};
}

Result<void> Disk::remove(const std::string& path) {
  STELE_CHECK(fail_if(faults_.failing_removals, effects_.removals_failed, "removing", path));
  STELE_TRY(const Place place, place_of(path));
  const File there = place.name.empty() ? nullptr : place.inode();
  if (!there) return not_found("removing", path);
  if (there->directory && !there->entries.empty()) {
    return error(ErrorCode::kAlreadyExists, "removing " + path + ": the directory is not empty");
  }
  record({{{place.directory, place.name, nullptr}}});
  return {};
}

Result<bool> Disk::exists(const std::string& path) {
  STELE_CHECK(fail_if(faults_.failing_stats, effects_.stats_failed, "looking for", path));
  const auto place = place_of(path);
  return place && (place->name.empty() || place->inode());
}

// What a durable operation builds on is durable before it.
Result<void> Disk::sync_directory(const std::string& path) {
  STELE_TRY(const Place place, place_of(path));
  const File directory = place.name.empty() ? root_ : place.inode();
  if (!directory || !directory->directory) return not_found("syncing directory", path);
  STELE_CHECK(fail_if(faults_.failing_syncs, effects_.syncs_failed, "syncing directory", path));
  if (is_due(faults_.lying_directory_syncs)) {
    ++effects_.directory_syncs_lied;
    note_damage(directory);
    return {};
  }
  for (NameOperation& operation : journal_) {
    for (auto& edit : operation.edits) edit.synced |= edit.directory == directory;
  }
  std::vector<bool> chosen(journal_.size());
  for (std::size_t i = journal_.size(); i-- > 0;) {
    chosen[i] = journal_[i].all_synced();
    for (std::size_t later = i + 1; later < journal_.size() && !chosen[i]; ++later) {
      chosen[i] = chosen[later] && journal_[i].touches_a_name_of(journal_[later]);
    }
  }
  std::vector<NameOperation> rest;
  for (std::size_t i = 0; i < journal_.size(); ++i) {
    if (chosen[i]) {
      apply_durably(journal_[i]);
    } else {
      rest.push_back(std::move(journal_[i]));
    }
  }
  journal_ = std::move(rest);
  return {};
}

Result<bool> Disk::lock(const std::string& path) {
  STELE_CHECK(open(path, runtime::OpenMode::kCreate));
  return locks_.insert(normalise_path(path)).second;
}

void Disk::unlock(const std::string& path) {
  locks_.erase(normalise_path(path));
}

// --- Power

// Keeps all, none, the oldest, or any subset of the name operations in which nothing builds on a lost one.
void Disk::resolve_names() {
  const std::uint64_t mode = random_.below(4);
  const std::size_t prefix = random_.below(journal_.size() + 1);
  std::vector<std::size_t> lost;
  for (std::size_t i = 0; i < journal_.size(); ++i) {
    const bool drawn = mode == 1 || (mode == 2 && i >= prefix) || (mode == 3 && random_.chance(1, 2));
    const bool orphaned = std::ranges::any_of(
        lost, [&](std::size_t earlier) { return journal_[i].touches_a_name_of(journal_[earlier]); });
    if (drawn || orphaned) {
      lost.push_back(i);
    } else {
      apply_durably(journal_[i]);
    }
  }
  effects_.names_lost += lost.size();
  journal_.clear();
}

void Disk::lose_power() {
  STELE_MARK("sim: a disk loses power");
  resolve_names();
  lose_files();
  std::vector<File> alive;
  std::uint64_t newest = 0;
  for (const auto& weak : inodes_) {
    File inode = weak.lock();
    if (!inode) continue;
    newest = std::max(newest, inode->content.last_unsynced_write());
    alive.push_back(std::move(inode));
  }
  const std::uint64_t mode = random_.below(4);
  PowerLoss how;
  if (mode == 1) how.keep_writes_to = next_write_;
  if (mode == 2) how.keep_writes_to = newest - std::min(newest, random_.below(64));
  if (mode == 3) how.keep_of_8 = static_cast<std::uint32_t>(random_.between(1, 7));
  for (const File& inode : alive) {
    if (inode->directory) {
      inode->entries = inode->durable;
      continue;
    }
    if (inode->content.stored()) continue;
    how.tear = newest > 0 && inode->content.last_unsynced_write() == newest && config_.tear_one_in > 0 &&
               random_.chance(1, config_.tear_one_in);
    const std::uint64_t before = inode->content.size();
    const FileContent::Lost lost = inode->content.lose_power(how, random_);
    effects_.sectors_lost += lost.sectors;
    effects_.sectors_torn += lost.torn;
    used_ = used_ - before + inode->content.size();
  }
}

void Disk::wipe() {
  journal_.clear();
  bad_.clear();
  stale_.clear();
  root_->entries.clear();
  root_->durable.clear();
}

void Disk::set_free_bytes(std::uint64_t bytes) {
  capacity_ = bytes == UINT64_MAX ? config_.capacity_bytes : used_ + bytes;
}

std::vector<Disk::File> Disk::reachable() const {
  std::vector<File> files;
  std::vector<File> directories{root_};
  for (std::size_t i = 0; i < directories.size(); ++i) {
    for (const auto& [name, inode] : File(directories[i])->entries) {
      (inode->directory ? directories : files).push_back(inode);
    }
  }
  return files;
}

std::uint64_t Disk::resident_bytes() const {
  std::uint64_t bytes = 0;
  for (const File& file : reachable()) bytes += file->content.resident_bytes();
  return bytes;
}

std::uint64_t Disk::content_hash() const {
  Hasher hash;
  std::vector<std::pair<std::string, File>> directories{{"", root_}};
  std::string bytes;
  for (std::size_t i = 0; i < directories.size(); ++i) {
    const auto [path, directory] = directories[i];
    for (const auto& [name, inode] : directory->entries) {
      hash.add(path + "/" + name);
      if (inode->directory) {
        directories.emplace_back(path + "/" + name, inode);
        continue;
      }
      bytes.resize(inode->content.size());
      inode->content.read(0, bytes.data(), bytes.size());
      hash.add(bytes);
    }
  }
  return hash.value();
}

// --- Whole files

std::vector<std::string> Disk::names_in(const std::string& directory) const {
  std::vector<std::string> names;
  const auto place = place_of(directory);
  const File there = place ? (place->name.empty() ? root_ : place->inode()) : nullptr;
  if (!there) return names;
  for (const auto& [name, inode] : there->entries) names.push_back(name);
  return names;
}

std::optional<std::string> Disk::content_of(const std::string& path) const {
  const auto place = place_of(path);
  const File file = place && !place->name.empty() ? place->inode() : nullptr;
  if (!file || file->directory) return std::nullopt;
  std::string content(file->content.size(), '\0');
  file->content.read(0, content.data(), content.size());
  return content;
}

void Disk::put_content(const std::string& path, std::string_view content) {
  const DiskFaults faults = std::exchange(faults_, {});
  const std::uint64_t capacity = std::exchange(capacity_, UINT64_MAX);
  const std::string directory = path.substr(0, path.rfind('/'));
  const auto done = [&]() -> Result<void> {
    STELE_CHECK(make_directory(directory));
    STELE_TRY(const File file, open(path, runtime::OpenMode::kCreate));
    STELE_CHECK(truncate(file, 0));
    STELE_CHECK(put(file, 0, content));
    STELE_CHECK(sync(file));
    STELE_CHECK(sync_directory(directory));
    return sync_directory("/");
  }();
  STELE_ASSERT(done);
  capacity_ = capacity;
  faults_ = faults;
}

void Disk::drop_directory(const std::string& path) {
  const auto place = place_of(path);
  if (!place || place->name.empty()) return;
  place->directory->entries.erase(place->name);
  place->directory->durable.erase(place->name);
}

}  // namespace stele::sim
