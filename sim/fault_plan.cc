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

struct Kind {
  std::string_view name;
  std::uint32_t ordinary_per_hour;
  Duration lasts_min, lasts_max;
  std::uint64_t amount_min, amount_max;
  bool between_two = false;
};

constexpr Kind kKinds[kFaultKinds] = {
    {"power-loss", 30, milliseconds(1), seconds(10), 0, 3},
    {"kill", 16, milliseconds(1), seconds(5), 0, 3},
    {"crash-in-file-operation", 30, seconds(10), minutes(2), 1, 400},
    {"kill-in-file-operation", 10, seconds(10), minutes(2), 1, 400},
    {"terminate", 10, milliseconds(1), seconds(5), 0, 3},
    {"pause", 12, milliseconds(10), seconds(40), 0, 0},
    {"core-pauses", 40, milliseconds(10), seconds(5), 0, 63},
    {"slow-node", 6, seconds(1), minutes(1), 2, 200},
    {"clock-jump", 6, Duration(0), Duration(0), 1, 100'000},
    {"clock-stands", 4, seconds(1), minutes(1), 0, 0},
    {"cut", 120, Duration(0), Duration(0), 0, 0, true},
    {"cut-all", 12, Duration(0), Duration(0), 0, 0, true},
    {"split", 12, milliseconds(100), minutes(2), 0, 0, true},
    {"split-one-way", 12, milliseconds(100), minutes(2), 0, 0, true},
    {"slow-link", 8, seconds(1), minutes(1), 2, 1000, true},
    {"refuse", 6, milliseconds(100), seconds(30), 0, 0},
    {"unresolvable", 6, milliseconds(100), seconds(30), 0, 0},
    {"sync-fails", 6, Duration(0), Duration(0), 1, 2},
    {"read-fails", 4, Duration(0), Duration(0), 1, 3},
    {"write-fails", 2, Duration(0), Duration(0), 1, 2},
    {"no-space", 3, seconds(1), seconds(30), 0, 1 << 20},
    {"slow-disk", 8, seconds(1), minutes(1), 2, 100},
    {"disk-stalls", 12, milliseconds(10), seconds(10), 0, 0},
    {"operation-stalls", 40, milliseconds(10), seconds(8), 0, 0},
    {"bit-flip", 0, Duration(0), Duration(0), 0, 0},
};

const Kind& info(FaultKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
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
  if (!of.between_two) return fault;
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
  FaultMenu menu;
  menu.nodes = std::move(nodes);
  menu.clients = std::move(clients);
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) menu.per_hour[kind] = kKinds[kind].ordinary_per_hour;
  return menu;
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
    if (off || menu.per_hour[i] == 0 || (info(kind).between_two && lonely)) continue;
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
    if (fault.host.empty() || info(fault.kind).between_two == fault.other.empty()) {
      return error(ErrorCode::kMalformed,
                   where + ": " + std::string(to_string(fault.kind)) + " needs " +
                       (info(fault.kind).between_two ? "host= and other=" : "host= alone"));
    }
    faults.push_back(std::move(fault));
  }
  return faults;
}

}  // namespace stele::sim
