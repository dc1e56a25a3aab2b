#include "meta/state_machine.h"

#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "meta/command_codec.h"
#include "meta/handlers.h"
#include "meta/tables.h"

namespace stele::meta {
namespace {

constexpr std::int64_t kApplicationId = 1400137068;  // Tables::create

std::int64_t number(storage::Database& database, std::string_view sql) {
  auto query = database.query(sql);
  return query.next() ? query.integer(0) : 0;
}

void add_to_view(MetaViewBuilder& view, ViewChange change) {
  if (change.cluster) view.set_cluster(*std::move(change.cluster));
  if (change.put_tenant) view.put_tenant(*std::move(change.put_tenant));
  if (change.removed_tenant) view.remove_tenant(*change.removed_tenant);
  if (change.put_node) view.put_node(*std::move(change.put_node));
  if (change.removed_node) view.remove_node(*change.removed_node);
  for (const auto& [shard, place] : change.put_shards) view.put_shard(shard, place);
  if (change.put_topic) view.put_topic(*std::move(change.put_topic));
  if (change.removed_topic) view.remove_topic(*change.removed_topic);
  if (change.put_user) view.put_user(*std::move(change.put_user));
  if (change.decoy_secret) view.set_decoy_secret(*std::move(change.decoy_secret));
  if (change.removed_user) view.remove_user(*change.removed_user);
  if (change.put_rule) view.put_rule(*std::move(change.put_rule));
  if (change.removed_rule) view.remove_rule(*change.removed_rule);
  if (change.put_token) view.put_token(*std::move(change.put_token));
  if (change.removed_token) view.remove_token(*change.removed_token);
}

}  // namespace

Result<std::unique_ptr<StateMachine>> StateMachine::open(runtime::BlockingFiles& files,
                                                         const std::string& path, Inputs inputs) {
  std::unique_ptr<StateMachine> machine(new StateMachine);
  const storage::SqliteVfs::Job job(machine->vfs_, files, inputs);
  STELE_TRY(machine->database_, storage::Database::open(machine->vfs_, path));
  auto ready = machine->prepare_schema();
  if (ready) ready = machine->load();
  if (!ready) return std::unexpected(ready.error().with_context(path));
  return machine;
}

Result<void> StateMachine::prepare_schema() {
  const std::int64_t application = number(*database_, "PRAGMA application_id");
  const std::int64_t version = number(*database_, "PRAGMA user_version");
  const std::int64_t tables = number(*database_, "SELECT count(*) FROM sqlite_schema");
  if (database_->failure()) return std::unexpected(*database_->failure());
  if (application == 0 && version == 0 && tables == 0) return Tables::create(*database_);
  if (application != kApplicationId) {
    return error(ErrorCode::kUnsupported, "an SQLite database, but not one of Stele's meta service");
  }
  if (version < 1 || version > Tables::kSchemaVersion) {
    return error(ErrorCode::kUnsupported, "written in schema version " + std::to_string(version) +
                                              " by another version of Stele; this one "
                                              "reads version " +
                                              std::to_string(Tables::kSchemaVersion) +
                                              " and older: use the version that wrote it, or a newer");
  }
  if (version < Tables::kSchemaVersion) return Tables::migrate(*database_, version);
  return {};
}

Result<void> StateMachine::load() {
  Tables tables(*database_);
  MetaViewBuilder view;
  if (auto cluster = tables.cluster()) view.set_cluster(*std::move(cluster));
  for (Tenant& tenant : tables.tenants()) view.put_tenant(std::move(tenant));
  for (Node& node : tables.nodes()) view.put_node(std::move(node));
  std::uint32_t shard = 0;
  for (const ShardPlace& place : tables.shard_places()) view.put_shard(ShardId(shard++), place);
  for (Topic& topic : tables.topics()) view.put_topic(std::move(topic));
  for (User& user : tables.users()) view.put_user(std::move(user));
  if (auto secret = tables.decoy_secret(); !secret.empty()) view.set_decoy_secret(std::move(secret));
  for (AclRule& rule : tables.rules()) view.put_rule(std::move(rule));
  for (Token& token : tables.tokens()) view.put_token(std::move(token));
  applied_ = static_cast<std::uint64_t>(number(*database_, "SELECT applied FROM cluster"));
  view_version_ = static_cast<std::uint64_t>(number(*database_, "SELECT view_version FROM cluster"));
  if (database_->failure()) return std::unexpected(*database_->failure());
  view_ = std::move(view).finish(view_version_);
  return {};
}

// Whoever comes later is told of what, too.
Error StateMachine::failed_before() const {
  return {failed_->code == ErrorCode::kCorrupt ? ErrorCode::kCorrupt : ErrorCode::kIo,
          "the meta database failed before; restart the process: " + failed_->message};
}

Result<std::vector<std::string>> StateMachine::apply(runtime::BlockingFiles& files, std::uint64_t first_index,
                                                     std::span<const Proposal> proposals, Inputs inputs) {
  if (failed_) return std::unexpected(failed_before());
  STELE_ASSERT(first_index >= 1 && first_index <= applied_ + 1);
  std::vector<std::string> answers(proposals.size());
  const std::size_t skipped = std::min<std::size_t>(proposals.size(), applied_ + 1 - first_index);
  if (skipped > 0) STELE_MARK("meta: command applied before is skipped");
  if (skipped == proposals.size()) return answers;

  const storage::SqliteVfs::Job job(vfs_, files, inputs);
  std::vector<ViewChange> changes;
  std::uint64_t index = applied_;
  std::optional<Error> refused;  // by this node, not by the command's handler
  database_->begin();
  for (std::size_t i = skipped; i < proposals.size() && !refused; ++i) {
    ++index;
    if (proposals[i].command.empty()) continue;
    auto answer = apply_once(index, proposals[i], changes);
    if (answer) {
      answers[i] = *std::move(answer);
    } else {
      refused = std::move(answer).error();
    }
  }
  const std::uint64_t version = view_version_ + changes.size();
  database_->run("UPDATE cluster SET applied = ?1, view_version = ?2", index, version);
  if (!refused && database_->commit()) {
    applied_ = index;
    if (changes.empty()) return answers;
    view_version_ = version;
    MetaViewBuilder view(*view_);
    for (ViewChange& change : changes) add_to_view(view, std::move(change));
    view_ = std::move(view).finish(version);
    return answers;
  }

  Error failure = database_->failure() ? *database_->failure() : *std::move(refused);
  const bool undone = database_->roll_back().has_value();
  if (undone && failure.code == ErrorCode::kNoSpace) {
    STELE_MARK("meta: no space, transaction undone");
  } else {
    failed_ = failure;
  }
  return std::unexpected(std::move(failure));
}

// As apply_one(), but for what was applied before.
Result<std::string> StateMachine::apply_once(std::uint64_t index, const Proposal& proposal,
                                             std::vector<ViewChange>& changes) {
  if (proposal.id.is_zero()) return apply_one(index, proposal.command, changes);
  Tables tables(*database_);
  if (proposal.seen + kRemembered < index) {
    STELE_MARK("meta: proposal too late");
    return encode_answer(
        error(ErrorCode::kUnavailable, "the command took too long to be heard of; try again"));
  }
  auto before = tables.remembered(proposal.id);
  if (before && mutant(mutants::kCommandAppliedAgain)) return apply_one(index, proposal.command, changes);
  if (before) {
    STELE_MARK("meta: proposal applied before");
    return *std::move(before);
  }
  STELE_TRY(std::string answer, apply_one(index, proposal.command, changes));
  tables.remember(index, proposal.id, answer);
  if (index > kRemembered) tables.forget_below(index - kRemembered);
  if (database_->failure()) return std::unexpected(*database_->failure());
  return answer;
}

// The answer, with what the command changed in `changes`. An error only where nothing may be applied any
// more.
Result<std::string> StateMachine::apply_one(std::uint64_t index, const std::string& bytes,
                                            std::vector<ViewChange>& changes) {
  auto entry = decode_command(bytes);
  if (!entry) {
    return std::unexpected(entry.error().with_context("command " + std::to_string(index)));
  }
  Tables tables(*database_);
  const auto cluster = tables.cluster();
  if (!cluster && !std::holds_alternative<CreateCluster>(entry->command)) {
    return encode_answer(error(ErrorCode::kNotFound, "there is no cluster yet"));
  }
  const ClusterInfo known = cluster.value_or(ClusterInfo());
  ViewChange change;
  const Context context{.tables = tables, .envelope = entry->envelope, .cluster = known, .change = change};
  database_->run("SAVEPOINT command");
  Result<Answer> answer = std::visit(
      [&](const auto& command) -> Result<Answer> { return handle(context, command); }, entry->command);
  if (!answer) {
    database_->run("ROLLBACK TO command");
  } else if (change.any()) {
    changes.push_back(std::move(change));
  }
  database_->run("RELEASE command");
  if (database_->failure()) return std::unexpected(*database_->failure());
  return encode_answer(answer);
}

Result<std::vector<Shard>> StateMachine::read_shards(runtime::BlockingFiles& files,
                                                     std::span<const ShardId> ids, Inputs inputs) {
  if (failed_) return std::unexpected(failed_before());
  const storage::SqliteVfs::Job job(vfs_, files, inputs);
  Tables tables(*database_);
  std::vector<Shard> shards;
  for (ShardId id : ids) {
    auto shard = tables.shard(id);
    if (database_->failure()) {
      failed_ = *database_->failure();
      return std::unexpected(*database_->failure());
    }
    if (!shard) return error(ErrorCode::kNotFound, "there is no shard " + std::to_string(id.value));
    shards.push_back(*std::move(shard));
  }
  return shards;
}

}  // namespace stele::meta
