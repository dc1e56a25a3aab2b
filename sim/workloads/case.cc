#include "sim/workloads/case.h"

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/nearest.h"
#include "sim/trace.h"
#include "sim/workloads/client_kinds.h"
#include "sim/workloads/node_knobs.h"

namespace stele::sim {
namespace {

using std::chrono::seconds;

std::string in_seconds(Duration duration) {
  return format_time(Time(duration));
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

std::string format_episode(const Episode& episode) {
  return "begin=" + in_seconds(episode.begin) + " load-end=" + in_seconds(episode.load_end) +
         " end=" + in_seconds(episode.end) + " messages=" + std::to_string(episode.messages);
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Episode> parse_episode(std::string_view text) {
  Episode episode;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view key = word.substr(0, equals), value = word.substr(equals + 1);
    if (key == "messages") {
      const auto number = parse_number(value);
      if (!number) return std::nullopt;
      episode.messages = *number;
      continue;
    }
    const auto duration = parse_duration(value);
    if (!duration) return std::nullopt;
    if (key == "begin") {
      episode.begin = *duration;
    } else if (key == "load-end") {
      episode.load_end = *duration;
    } else if (key == "end") {
      episode.end = *duration;
    } else {
      return std::nullopt;
    }
  }
  if (episode.load_end < episode.begin || episode.end < episode.load_end) return std::nullopt;
  return episode;
}

std::optional<ClientOfCase> parse_client(std::string_view text) {
  const std::size_t space = text.rfind(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto number = parse_number(text.substr(space + 1));
  if (!number || *number > 1000) return std::nullopt;
  return ClientOfCase{std::string(text.substr(0, space)), static_cast<std::uint32_t>(*number)};
}

std::vector<std::string_view> floor_names() {
  std::vector<std::string_view> names = {"operations", "faults",          "crashes",
                                         "damages",    "denials",         "newcomers",
                                         "wills",      "wills-kept-away", "messages-of-the-neighbour",
                                         "contended"};
  for (const Showing& showing : showings()) names.push_back(showing.name);
  return names;
}
constexpr std::string_view kSystems[] = {"node", "log", "store", "raft", "cluster", "meta", "journal"};

// Reads a table key by key, each once, and names what is wrong with its place.
class Reader {
 public:
  Reader(std::string_view path, const toml::table& table) : path_(path), table_(table) {}

  using Take = std::function<Result<void>(const toml::node&)>;
  struct Key {
    std::string_view name;
    Take take;
  };
  Result<void> read(std::span<const Key> keys) const {
    std::vector<std::string_view> names;
    for (const Key& key : keys) names.push_back(key.name);
    for (const auto& [key, node] : table_) {
      const auto found = std::ranges::find(keys, key.str(), &Key::name);
      if (found == keys.end()) {
        return wrong(node,
                     "there is no key '" + std::string(key.str()) + "'" + did_you_mean(key.str(), names));
      }
      if (auto taken = found->take(node); !taken) return wrong(node, taken.error().message);
    }
    return {};
  }
  // A table of names and numbers.
  using TakePair = std::function<Result<void>(std::string_view, std::uint64_t)>;
  static Result<void> pairs(const toml::node& node, const TakePair& take) {
    const toml::table* table = node.as_table();
    if (!table) return malformed("needs a table");
    for (const auto& [key, value] : *table) {
      std::uint64_t number = 0;
      STELE_TRY(number, to_number(value));
      STELE_CHECK(take(key.str(), number));
    }
    return {};
  }
  static Result<void> list(const toml::node& node,
                           const std::function<Result<void>(const std::string&)>& take) {
    const toml::array* array = node.as_array();
    if (!array) return malformed("needs a list");
    for (const toml::node& element : *array) {
      const auto* text = element.as_string();
      if (!text) return malformed("needs a list of texts");
      STELE_CHECK(take(text->get()));
    }
    return {};
  }
  static Take text(std::string* out) {
    return [out](const toml::node& node) -> Result<void> {
      const auto* value = node.as_string();
      if (!value) return malformed("needs a text");
      *out = value->get();
      return {};
    };
  }
  template <class Number>
  static Take number(Number* out) {
    return [out](const toml::node& node) -> Result<void> {
      std::uint64_t value = 0;
      STELE_TRY(value, to_number(node));
      *out = static_cast<Number>(value);
      return {};
    };
  }
  static Take in_seconds(Duration* out, seconds unit) {
    return [out, unit](const toml::node& node) -> Result<void> {
      std::uint64_t value = 0;
      STELE_TRY(value, to_number(node));
      if (value > 1'000'000) return malformed("is too long");
      *out = unit * static_cast<std::int64_t>(value);
      return {};
    };
  }
  static std::unexpected<Error> malformed(std::string why) {
    return error(ErrorCode::kInvalidArgument, std::move(why));
  }

 private:
  static Result<std::uint64_t> to_number(const toml::node& node) {
    // Seeds have 64 bits, TOML's numbers 63.
    if (const auto* text = node.as_string()) {
      if (const auto number = parse_number(text->get())) return *number;
      return malformed("'" + text->get() + "' is not a number");
    }
    const auto* number = node.as_integer();
    if (!number || number->get() < 0) return malformed("needs a whole number");
    return static_cast<std::uint64_t>(number->get());
  }
  std::unexpected<Error> wrong(const toml::node& node, const std::string& why) const {
    if (why.starts_with(std::string(path_) + ":")) return malformed(why);  // said within the table
    return malformed(std::string(path_) + ":" + std::to_string(node.source().begin.line) + ": " + why);
  }
  const std::string_view path_;
  const toml::table& table_;
};

Result<toml::table> parse_toml(std::string_view path, std::string_view text) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& failure) {
    return error(ErrorCode::kInvalidArgument, std::string(path) + ":" +
                                                  std::to_string(failure.source().begin.line) +
                                                  ": not TOML: " + std::string(failure.description()));
  }
}

Result<void> known(std::string_view what, std::string_view name, std::span<const std::string_view> names) {
  if (std::ranges::find(names, name) != names.end()) return {};
  return Reader::malformed("no " + std::string(what) + " '" + std::string(name) + "'" +
                           did_you_mean(name, names));
}

Result<void> known_fault(std::string_view name) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < kFaultKinds; ++i) names.push_back(to_string(static_cast<FaultKind>(i)));
  return known("kind of fault", name, names);
}

Reader::Take system_into(System* out) {
  return [out](const toml::node& node) -> Result<void> {
    std::string name;
    STELE_CHECK(Reader::text(&name)(node));
    STELE_CHECK(known("system", name, kSystems));
    *out = static_cast<System>(std::ranges::find(kSystems, name) - std::begin(kSystems));
    return {};
  };
}

Reader::Take floors_into(std::map<std::string, std::uint64_t>* out) {
  return [out](const toml::node& node) {
    return Reader::pairs(node, [out](std::string_view name, std::uint64_t value) -> Result<void> {
      STELE_CHECK(known("floor", name, floor_names()));
      (*out)[std::string(name)] = value;
      return {};
    });
  };
}

}  // namespace

bool Case::has_any(std::string_view kind) const {
  return std::ranges::find(clients, kind, &ClientOfCase::kind) != clients.end();
}

bool Case::has(const ClientOfCase& client) const {
  return std::ranges::find(clients, client) != clients.end();
}

std::string format_case(const Case& of) {
  std::string out;
  if (!of.found.empty()) out += "found = " + quoted(of.found) + "\n";
  out += "scenario = " + quoted(of.scenario) + "\n";
  out += "system = " + quoted(kSystems[static_cast<std::size_t>(of.system)]) + "\n";
  out += "seed = \"" + std::to_string(of.seed) + "\"\n";
  out += "duration = \"" + in_seconds(of.duration) + "\"\n";
  if (of.faults_drawn > 0) out += "faults-drawn = " + std::to_string(of.faults_drawn) + "\n";
  out += "clients = [\n";
  for (const ClientOfCase& client : of.clients)
    out += "  " + quoted(client.kind + " " + std::to_string(client.number)) + ",\n";
  out += "]\nepisodes = [\n";
  for (const Episode& episode : of.episodes) out += "  " + quoted(format_episode(episode)) + ",\n";
  out += "]\nfaults = '''\n" + format_faults(of.faults) + "'''\n";
  out += "\n[knobs]\n";
  for (const Knob& knob : of.knobs.declared())
    out += "\"" + std::string(knob.name) + "\" = " + std::to_string(of.knobs[knob.name]) + "\n";
  out += "\n[floors]\n";
  for (const auto& [name, value] : of.floors) out += name + " = " + std::to_string(value) + "\n";
  return out;
}

Result<Case> parse_case(std::string_view path, std::string_view text) {
  STELE_TRY(const toml::table table, parse_toml(path, text));
  Case out{.scenario = {}, .knobs = Knobs(node_knobs())};
  std::string duration;
  const Reader::Key keys[] = {
      {"found", Reader::text(&out.found)},
      {"scenario", Reader::text(&out.scenario)},
      {"system", system_into(&out.system)},
      {"seed", Reader::number(&out.seed)},
      {"duration", Reader::text(&duration)},
      {"faults-drawn", Reader::number(&out.faults_drawn)},
      {"clients",
       [&](const toml::node& node) {
         return Reader::list(node, [&](const std::string& line) -> Result<void> {
           auto client = parse_client(line);
           if (!client) return Reader::malformed("'" + line + "' is not a kind of client and its number");
           STELE_CHECK(known("kind of client", client->kind, client_kind_names()));
           out.clients.push_back(std::move(*client));
           return {};
         });
       }},
      {"episodes",
       [&](const toml::node& node) {
         return Reader::list(node, [&](const std::string& line) -> Result<void> {
           const auto episode = parse_episode(line);
           if (!episode) return Reader::malformed("'" + line + "' is not an episode");
           out.episodes.push_back(*episode);
           return {};
         });
       }},
      {"faults",
       [&](const toml::node& node) -> Result<void> {
         std::string lines;
         STELE_CHECK(Reader::text(&lines)(node));
         STELE_TRY(out.faults, parse_faults(lines));
         return {};
       }},
      {"knobs",
       [&](const toml::node& node) {
         return Reader::pairs(
             node, [&](std::string_view name, std::uint64_t value) { return out.knobs.set(name, value); });
       }},
      {"floors", floors_into(&out.floors)},
  };
  STELE_CHECK(Reader(path, table).read(keys));
  const auto length = parse_duration(duration);
  if (!length) return Reader::malformed(std::string(path) + ": there is no duration in seconds");
  out.duration = *length;
  return out;
}

Result<ScenarioFile> parse_scenario(std::string name, std::string_view path, std::string_view text) {
  STELE_TRY(const toml::table table, parse_toml(path, text));
  ScenarioFile out;
  out.name = std::move(name);
  const auto faults = [&](const toml::node& node) -> Result<void> {
    if (!node.is_table()) return Reader::malformed("needs a table");
    const Reader::Key keys[] = {
        {"menus",
         [&](const toml::node& menus) {
           return Reader::list(menus, [&](const std::string& menu) -> Result<void> {
             STELE_CHECK(known("menu of faults", menu, fault_menu_names()));
             out.menus.push_back(menu);
             return {};
           });
         }},
        {"times", Reader::number(&out.times)},
        {"crashes", Reader::number(&out.crashes)},
        {"per-hour",
         [&](const toml::node& rates) {
           return Reader::pairs(rates, [&](std::string_view kind, std::uint64_t rate) -> Result<void> {
             STELE_CHECK(known_fault(kind));
             out.per_hour[std::string(kind)] =
                 static_cast<std::uint32_t>(std::min<std::uint64_t>(rate, 100'000));
             return {};
           });
         }},
    };
    return Reader(path, *node.as_table()).read(keys);
  };
  const Reader::Key keys[] = {
      {"title", Reader::text(&out.title)},
      {"system", system_into(&out.system)},
      {"minutes", Reader::in_seconds(&out.duration, seconds(60))},
      {"messages", Reader::number(&out.messages)},
      {"clients",
       [&](const toml::node& node) {
         return Reader::pairs(node, [&](std::string_view kind, std::uint64_t count) -> Result<void> {
           STELE_CHECK(known("kind of client", kind, client_kind_names()));
           const std::uint32_t most = most_clients(kind);
           if (count > most)
             return Reader::malformed("there can be " + std::to_string(most) + " of " + std::string(kind));
           out.clients[std::string(kind)] = static_cast<std::uint32_t>(count);
           return {};
         });
       }},
      {"knobs",
       [&](const toml::node& node) {
         return Reader::pairs(node, [&](std::string_view knob, std::uint64_t value) -> Result<void> {
           STELE_CHECK(Knobs(node_knobs()).set(knob, value));
           out.knobs[std::string(knob)] = value;
           return {};
         });
       }},
      {"faults", faults},
      {"floors", floors_into(&out.floors)},
  };
  STELE_CHECK(Reader(path, table).read(keys));
  if (out.duration <= Duration(0))
    return Reader::malformed(std::string(path) + ": there is no length in minutes");
  return out;
}

}  // namespace stele::sim
