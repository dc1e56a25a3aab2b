// Faults as data: drawing, printing, reading.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "sim/faults.h"
#include "sim/trace.h"

namespace stele::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

enum Between : bool { kAlone, kBetweenTwo };

// In which menu a kind is.
enum class Menu : std::uint8_t {
  kOrdinary,
  kDamage,
  kNone,  // a workload asks for it by name
};

struct Kind {
  std::string_view name;
  Menu menu;
  std::uint32_t per_hour;
  Duration lasts_min, lasts_max;
  std::uint64_t amount_min, amount_max;
  Between between = kAlone;
};

constexpr Duration k0{};
constexpr Menu kO = Menu::kOrdinary, kD = Menu::kDamage;

constexpr Kind kKinds[kFaultKinds] = {
    {"power-loss", kO, 30, milliseconds(1), seconds(10), 0, 3},
    {"kill", kO, 16, milliseconds(1), seconds(5), 0, 3},
    {"crash-in-file-operation", kO, 30, seconds(10), minutes(2), 1, 400},
    {"kill-in-file-operation", kO, 10, seconds(10), minutes(2), 1, 400},
    {"crash-in-sync", kO, 12, seconds(10), minutes(2), 1, 20},
    {"crash-in-start", kO, 12, milliseconds(1), seconds(5), 1, 200},
    {"terminate", kO, 10, milliseconds(1), seconds(5), 0, 3},
    {"pause", kO, 12, milliseconds(10), seconds(40), 0, 0},
    {"core-pauses", kO, 40, milliseconds(10), seconds(5), 0, 63},
    {"slow-node", kO, 6, seconds(1), minutes(1), 2, 200},
    {"clock-jump", kO, 6, k0, k0, 1, 100'000},
    {"clock-stands", kO, 4, seconds(1), minutes(1), 0, 0},
    {"clock-leaps", Menu::kNone, 4, milliseconds(10), seconds(30), 24, 24 * 400},
    {"clock-drifts", kO, 6, seconds(1), minutes(2), 100, 50'000},
    {"cut", kO, 120, k0, k0, 0, 0, kBetweenTwo},
    {"cut-all", kO, 12, k0, k0, 0, 0, kBetweenTwo},
    {"half-open", kO, 20, k0, k0, 0, 0, kBetweenTwo},
    {"connection-stalls", kO, 20, milliseconds(100), seconds(40), 0, 0, kBetweenTwo},
    {"split", kO, 12, milliseconds(100), minutes(2), 0, 0, kBetweenTwo},
    {"split-one-way", kO, 12, milliseconds(100), minutes(2), 0, 0, kBetweenTwo},
    {"slow-link", kO, 8, seconds(1), minutes(1), 2, 1000, kBetweenTwo},
    {"jitter", kO, 8, seconds(1), seconds(30), 1, 500, kBetweenTwo},
    {"tiny-windows", kO, 8, milliseconds(10), seconds(2), 1, 64, kBetweenTwo},
    {"late-close", kO, 8, seconds(1), minutes(1), 10, 30'000, kBetweenTwo},
    {"corrupt-bytes", kD, 12, k0, k0, 1, 4, kBetweenTwo},
    {"isolate", kO, 6, milliseconds(100), minutes(1), 0, 0},
    {"refuse", kO, 6, milliseconds(100), seconds(30), 0, 0},
    {"backlog-full", kO, 6, milliseconds(100), seconds(30), 0, 0},
    {"slow-connects", kO, 6, seconds(1), seconds(30), 100, 60'000},
    {"unresolvable", kO, 6, milliseconds(100), seconds(30), 0, 0},
    {"sync-fails", kO, 6, k0, k0, 1, 2},
    {"sync-finds-no-space", Menu::kNone, 6, k0, k0, 1, 2},
    {"read-fails", kO, 4, k0, k0, 1, 3},
    {"write-fails", kO, 2, k0, k0, 1, 2},
    {"write-stops", kO, 3, k0, k0, 1, 2},
    {"write-torn", kO, 3, k0, k0, 1, 2},
    {"open-fails", kO, 3, k0, k0, 1, 3},
    {"list-fails", kO, 3, k0, k0, 1, 2},
    {"rename-fails", kO, 2, k0, k0, 1, 2},
    {"remove-fails", kO, 2, k0, k0, 1, 3},
    {"make-directory-fails", kO, 1, k0, k0, 1, 1},
    {"stat-fails", kO, 2, k0, k0, 1, 2},
    {"truncate-fails", kO, 2, k0, k0, 1, 2},
    {"operation-fails", kO, 3, k0, k0, 1, 400},
    {"start-fails", kO, 3, milliseconds(1), seconds(5), 1, 200},
    {"unreadable", kO, 4, milliseconds(100), seconds(30), 1, 64},
    {"no-space", kO, 3, seconds(1), seconds(30), 0, 1 << 20},
    {"slow-disk", kO, 8, seconds(1), minutes(1), 2, 100},
    {"slow-syncs", kO, 8, seconds(1), minutes(1), 2, 200},
    {"disk-stalls", kO, 12, milliseconds(10), seconds(10), 0, 0},
    {"operation-stalls", kO, 40, milliseconds(10), seconds(8), 0, 0},
    {"bit-flip", kD, 6, k0, k0, 0, 0},
    {"latent-sector-error", kD, 6, k0, k0, 1, 16},
    {"sync-lies", kD, 6, k0, k0, 1, 3},
    {"directory-sync-lies", kD, 6, k0, k0, 1, 3},
    {"write-lost", kD, 6, k0, k0, 1, 2},
    {"misdirected-write", kD, 6, k0, k0, 1, 1},
    {"misdirected-read", kD, 6, k0, k0, 1, 2},
    {"stale-read", kD, 6, seconds(1), minutes(2), 1, 3},
    {"file-missing", kD, 3, k0, k0, 1, 1},
    {"disk-lost", kD, 1, milliseconds(1), seconds(5), 0, 0},
    {"garbled", Menu::kNone, 6, milliseconds(1), seconds(5), 0, 1 << 16},
    {"directory-gone", Menu::kNone, 2, milliseconds(1), seconds(5), 0, 3},
};

const Kind& info(FaultKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

FaultMenu menu_of(Menu which, std::vector<std::string> nodes, std::vector<std::string> clients) {
  FaultMenu menu;
  menu.nodes = std::move(nodes);
  menu.clients = std::move(clients);
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (kKinds[kind].menu == which) menu.per_hour[kind] = kKinds[kind].per_hour;
  }
  return menu;
}

constexpr Duration kHour = std::chrono::hours(1);

// Short ones are as frequent as long ones: drawn by order of magnitude.
std::int64_t draw_scaled(runtime::Random& random, std::int64_t low, std::int64_t high) {
  std::int64_t top = high;
  while (top / 4 > low && random.chance(1, 2)) top /= 4;
  return random.between(low, std::max(low, top));
}

Fault draw_fault(runtime::Random& random, FaultKind kind, const FaultMenu& menu) {
  const Kind& of = info(kind);
  Fault fault;
  fault.kind = kind;
  fault.at = Duration(random.between(menu.from.count(), menu.until.count()));
  const std::size_t node = random.below(menu.nodes.size());
  fault.host = menu.nodes[node];
  fault.lasts = Duration(draw_scaled(random, of.lasts_min.count(), of.lasts_max.count()));
  fault.amount = static_cast<std::uint64_t>(draw_scaled(random, static_cast<std::int64_t>(of.amount_min),
                                                        static_cast<std::int64_t>(of.amount_max)));
  if (of.between == kAlone) return fault;
  std::vector<std::string> others = menu.clients;
  for (std::size_t i = 0; i < menu.nodes.size(); ++i) {
    if (i != node) others.push_back(menu.nodes[i]);
  }
  STELE_ASSERT(!others.empty());
  fault.other = others[random.below(others.size())];
  if (random.chance(1, 2)) std::swap(fault.host, fault.other);
  return fault;
}

std::string format_duration(Duration duration) {
  return format_time(Time(duration));
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Sets what one word of a line says. False if it makes no sense.
bool parse_word(std::string_view word, Fault* fault, bool* has_kind) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) {
    const auto* found = std::ranges::find(kKinds, word, &Kind::name);
    if (found == std::end(kKinds) || std::exchange(*has_kind, true)) return false;
    fault->kind = static_cast<FaultKind>(found - kKinds);
    return true;
  }
  const std::string_view key = word.substr(0, equals), value = word.substr(equals + 1);
  if (key == "host") return fault->host = value, !value.empty();
  if (key == "other") return fault->other = value, !value.empty();
  if (key == "amount") {
    const auto number = parse_number(value);
    fault->amount = number.value_or(0);
    return number.has_value();
  }
  if (key != "at" && key != "lasts") return false;
  const auto duration = parse_duration(value);
  (key == "at" ? fault->at : fault->lasts) = duration.value_or(Duration(0));
  return duration.has_value();
}

}  // namespace

std::string_view to_string(FaultKind kind) {
  return info(kind).name;
}

FaultMenu FaultMenu::ordinary(std::vector<std::string> nodes, std::vector<std::string> clients) {
  return menu_of(Menu::kOrdinary, std::move(nodes), std::move(clients));
}

FaultMenu FaultMenu::damage(std::vector<std::string> nodes, std::vector<std::string> clients) {
  return menu_of(Menu::kDamage, std::move(nodes), std::move(clients));
}

std::vector<Fault> draw_faults(runtime::Random& random, const FaultMenu& menu) {
  std::vector<Fault> faults;
  const std::uint64_t seed = random.next();
  if (menu.until <= menu.from || menu.nodes.empty()) return faults;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    runtime::Random own(Hasher().add(seed).add(to_string(kind)).value());
    const bool off = menu.swarm && own.chance(1, 3);
    const std::uint64_t times_of_4 = menu.swarm ? std::uint64_t{1} << (2 * own.below(3)) : 4;
    const bool lonely = menu.nodes.size() + menu.clients.size() < 2;
    if (off || menu.per_hour[i] == 0 || (info(kind).between == kBetweenTwo && lonely)) continue;
    // So many on average; what is left of a whole one is there by chance.
    const auto length = static_cast<std::uint64_t>((menu.until - menu.from).count());
    const auto hour = static_cast<std::uint64_t>(kHour.count());
    const auto product = static_cast<unsigned __int128>(length) * menu.per_hour[i] * times_of_4;
    auto count = static_cast<std::uint64_t>(product / (4 * hour));
    count += own.chance(static_cast<std::uint64_t>(product % (4 * hour)), 4 * hour);
    while (count-- > 0) faults.push_back(draw_fault(own, kind, menu));
  }
  std::ranges::sort(faults);
  return faults;
}

std::string format_faults(const std::vector<Fault>& faults) {
  std::string out;
  for (const Fault& fault : faults) {
    out += "at=" + format_duration(fault.at) + " ";
    out += to_string(fault.kind);
    out += " host=" + fault.host;
    if (!fault.other.empty()) out += " other=" + fault.other;
    out += " lasts=" + format_duration(fault.lasts) + " amount=" + std::to_string(fault.amount) + "\n";
  }
  return out;
}

Result<std::vector<Fault>> parse_faults(std::string_view text) {
  std::vector<Fault> faults;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::string where = "line " + std::to_string(number) + " of the faults";
    Fault fault;
    bool has_kind = false, has_words = false;
    while (!line.empty()) {
      const std::string_view word = line.substr(0, line.find(' '));
      line.remove_prefix(std::min(word.size() + 1, line.size()));
      if (word.empty()) continue;
      has_words = true;
      if (!parse_word(word, &fault, &has_kind)) {
        return error(ErrorCode::kMalformed, where + ": '" + std::string(word) + "' makes no sense");
      }
    }
    if (!has_words) continue;
    if (!has_kind) return error(ErrorCode::kMalformed, where + ": there is no kind of fault");
    if (fault.host.empty() || (info(fault.kind).between == kBetweenTwo) == fault.other.empty()) {
      return error(ErrorCode::kMalformed,
                   where + ": " + std::string(to_string(fault.kind)) + " needs " +
                       (info(fault.kind).between == kBetweenTwo ? "host= and other=" : "host= alone"));
    }
    faults.push_back(std::move(fault));
  }
  return faults;
}

}  // namespace stele::sim
