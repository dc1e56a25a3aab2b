// Metrics of a node: the counters of all its cores, added up, and of the services on core 0.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "broker/shard.h"
#include "server/cluster_health.h"
#include "server/node_parts.h"

namespace stele::server {

using http::MetricFamily;
using http::MetricKind;
using runtime::Task;

namespace {

class Metrics {
 public:
  void add(const char* name, const char* help, MetricKind kind, double value) {
    auto [at, added] = places_.try_emplace(name, families_.size());
    if (added) families_.push_back({std::string("stele_") + name, help, kind, {http::MetricSample{}}});
    families_[at->second].samples.front().value += value;
  }
  void count(const char* name, const char* help, std::uint64_t value) {
    add(name, help, MetricKind::kCounter, static_cast<double>(value));
  }
  void gauge(const char* name, const char* help, std::uint64_t value) {
    add(name, help, MetricKind::kGauge, static_cast<double>(value));
  }
  void merge(const Metrics& other) {
    for (const MetricFamily& family : other.families_) {
      add(family.name.c_str() + 6, family.help.c_str(), family.kind, family.samples.front().value);
    }
  }
  std::vector<MetricFamily> take() && { return std::move(families_); }

 private:
  std::map<std::string, std::size_t, std::less<>> places_;
  std::vector<MetricFamily> families_;
};

void add_broker(Metrics& out, broker::Core& core) {
  const broker::CoreStats& stats = core.stats();
  out.count("published_live_total", "Messages that went to live subscribers, or to nobody.",
            stats.published_live);
  out.count("published_kept_total", "Messages that were committed first.", stats.published_kept);
  out.count("published_again_total",
            "QoS 2 messages that clients sent again, and that were not stored again.", stats.published_again);
  out.count("produced_batches_total", "Record batches produced by Kafka clients.", stats.produced_batches);
  out.count("produced_bytes_total", "Bytes of record batches produced.", stats.produced_bytes);
  out.count("produced_duplicates_total", "Batches that idempotent producers sent again.",
            stats.produced_duplicates);
  out.count("produced_out_of_order_total", "Batches refused: not their idempotent producer's next.",
            stats.produced_out_of_order);
  out.count("fetches_total", "Reads of a partition by Kafka clients.", stats.fetches);
  out.count("fetched_bytes_total", "Bytes of record batches fetched.", stats.fetched_bytes);
  out.count("refused_no_space_total", "Writes refused because the disk was full.", stats.refused_no_space);
  out.count("forwarded_total", "Entries taken from other shards.", stats.forwarded);
  out.count("forward_duplicates_total", "Entries of other shards that were here before.",
            stats.forward_duplicates);
  out.count("session_deliveries_total", "Messages sent from the queues of persistent sessions.",
            stats.session_deliveries);
  out.count("session_redeliveries_total", "Of them, perhaps sent before.", stats.session_redeliveries);
  out.count("sessions_opened_total", "MQTT sessions opened.", stats.sessions_opened);
  out.count("sessions_taken_over_total", "Client ids taken over by another connection.",
            stats.sessions_taken_over);
  out.count("sessions_expired_total", "Persistent sessions that expired.", stats.sessions_expired);
  out.count("wills_published_total", "Wills published.", stats.wills_published);
  out.count("shared_deliveries_total", "Messages sent out of the queues of shared subscriptions.",
            stats.shared_deliveries);
  out.count("shared_given_back_total", "Messages that a member of a shared subscription left to the others.",
            stats.shared_given_back);
  out.count("shared_without_member_total",
            "Live messages dropped for want of a member of a shared subscription.",
            stats.shared_without_member);
  out.count("shared_unkept_total",
            "Live messages sent to a member of a shared subscription that holds too many to keep a copy.",
            core.live().stats().shared_unkept);
  out.count("group_generations_total", "Generations of consumer groups begun.", stats.groups.generations);
  out.count("group_members_expired_total", "Members of groups that fell silent or did not rejoin in time.",
            stats.groups.members_expired);
  out.count("group_offset_commits_total", "Offsets committed by groups.", stats.groups.offset_commits);
  out.count("group_offsets_expired_total", "Offsets forgotten after their retention.",
            stats.groups.offsets_expired);
  out.count("group_refused_total", "Members and offsets of groups refused at a limit.",
            stats.groups.refused_at_limit);
  out.count("snapshots_total", "Shard snapshots written.", stats.snapshots);
  out.count("snapshot_bytes_total", "Bytes of shard snapshots written.", stats.snapshot_bytes);
  out.count("shards_lost_total", "Shards that lost their log and were taken over again.", stats.shards_lost);
  out.count("core_mail_total", "Messages between cores.", stats.mail_sent);
  out.count("core_mail_bundles_total", "Posts they went in.", stats.mail_bundles);
  out.count("core_live_behind_total",
            "Times that publishers waited for a core that was behind with live copies.", stats.live_behind);
  out.count(
      "live_lost_total",
      "Times that live copies did not reach another node, as far as is known: of QoS 0 nobody else is told.",
      stats.live_lost);
  out.count("live_late_total",
            "Times that live copies of another node came when others had overtaken them, and were dropped.",
            stats.live_late);
  out.count("live_gaps_total", "Times that live copies of another node were, or may have been, missing.",
            stats.live_gaps);
  out.count("live_gap_clients_total",
            "MQTT clients sent away because live copies with QoS 1 or 2 may be missing.",
            stats.live_gap_clients);
  out.count("live_deliveries_total", "Messages handed to live subscribers.", core.live().stats().deliveries);
  out.count("live_dropped_while_held_total", "Live messages dropped while a subscription was being made.",
            core.live().stats().dropped_while_held);
  out.gauge("live_subscriptions", "Subscriptions of connected clients.", core.live().filters());
  out.gauge("publishing_bytes", "Published and not yet committed.", core.publishing_bytes());
  for (const auto& [id, shard] : core.shards()) {
    out.gauge("shards_serving", "Shards served.", shard->serving() ? 1 : 0);
    out.gauge("streams", "Partitions of topics.", shard->state().streams().size());
    out.gauge("shares", "Shared subscriptions.", shard->shares());
    out.gauge("sessions", "Persistent sessions.", shard->state().sessions().size());
    out.gauge("clients_connected", "Client ids connected.", shard->connected());
    out.gauge("session_queue_messages", "Messages queued for persistent sessions.",
              shard->state().queued_messages());
    out.gauge("forwards_unanswered", "Entries that other shards have not yet taken from these.",
              shard->forwards_unanswered());
    out.count("session_dropped_total", "Messages dropped at the limits of session queues.",
              shard->state().dropped_messages());
    out.gauge("producers", "Idempotent producers remembered, per partition that they write to.",
              shard->state().producers().size());
    out.count("producers_evicted_total", "Of them, forgotten at the limit.",
              shard->state().producers().evicted());
    const broker::GroupTable& groups = shard->state().groups();
    out.gauge("groups", "Consumer groups.", groups.all().size());
    out.gauge("group_members", "Members of consumer groups.", groups.members());
    out.gauge("group_offsets", "Committed offsets of consumer groups.", groups.offsets());
    out.gauge("group_bytes", "Memory of consumer groups, about.", groups.bytes());
    out.gauge("wills", "Wills of clients that are connected, or that are still to be published.",
              shard->state().wills().all().size());
    out.gauge("will_bytes", "Memory of wills, about.", shard->state().wills().bytes());
    out.gauge("retained_messages", "Retained messages.", shard->state().retained().size());
    out.gauge("retained_bytes", "Bytes of retained messages.", shard->state().retained_bytes());
  }
}

void add_access(Metrics& out, const broker::AccessStats& stats) {
  for (std::size_t i = 0; i < broker::kActionCount; ++i) {
    std::string name = "denied_" + std::string(to_string(static_cast<broker::Action>(i))) + "_total";
    std::ranges::replace(name, ' ', '_');
    out.count(name.c_str(), "Actions of this kind that were denied.", stats.denied[i]);
  }
  out.count("logins_total", "Clients that proved who they are.", stats.logins);
  out.count("login_failures_total", "Wrong user names, passwords and tokens.", stats.login_failures);
  out.count("logins_limited_total", "Logins refused unseen: too many failures of their address.",
            stats.logins_limited);
  out.count("logins_busy_total", "Logins refused unseen: too many at once.", stats.logins_busy);
  out.count("passwords_verified_total", "Passwords verified with all their iterations.",
            stats.passwords_verified);
}

void add_tls(Metrics& out, const runtime::tls::ServerStats& stats) {
  out.count("tls_handshakes_total", "TLS handshakes that came to a connection.", stats.handshakes);
  out.count("tls_handshakes_failed_total", "TLS handshakes that failed.", stats.handshakes_failed);
  out.count("tls_handshakes_refused_total", "Connections closed: too many handshakes at once.",
            stats.handshakes_refused);
}

void add_mqtt(Metrics& out, const mqtt::MqttCounters& counters) {
  out.count("mqtt_connections_accepted_total", "MQTT connections accepted.", counters.accepted);
  out.count("mqtt_connections_refused_total", "MQTT connections refused: too many.", counters.refused);
  out.count("mqtt_connect_refused_total", "MQTT clients whose CONNECT was refused.",
            counters.connect_refused);
  out.count("mqtt_login_refused_total", "Of them, for user name or password.", counters.login_refused);
  out.gauge("mqtt_connections", "MQTT connections.", counters.connections);
  std::uint64_t in = 0, sent = 0;
  for (std::uint64_t packets : counters.packets_in) in += packets;
  for (std::uint64_t packets : counters.packets_out) sent += packets;
  out.count("mqtt_packets_in_total", "MQTT packets received.", in);
  out.count("mqtt_packets_out_total", "MQTT packets sent.", sent);
  out.count("mqtt_publish_in_total", "PUBLISH packets received.", counters.packets_in[3]);
  out.count("mqtt_publish_out_total", "PUBLISH packets sent.", counters.packets_out[3]);
  out.count("mqtt_bytes_in_total", "Bytes received from MQTT clients.", counters.bytes_in);
  out.count("mqtt_bytes_out_total", "Bytes sent to MQTT clients.", counters.bytes_out);
  out.count("mqtt_protocol_errors_total", "MQTT connections ended for what the client sent.",
            counters.protocol_errors);
  out.count("mqtt_keep_alive_timeouts_total", "MQTT clients that fell silent.", counters.keep_alive_timeouts);
  out.count("mqtt_publish_refused_total", "PUBLISH packets that the broker refused.",
            counters.publish_refused);
  out.count("mqtt_dropped_slow_total", "QoS 0 messages dropped for slow clients.", counters.dropped_slow);
  out.count("mqtt_dropped_queue_total", "Live QoS 1 messages dropped for slow clients.",
            counters.dropped_queue);
  out.count("mqtt_dropped_expired_total", "Messages dropped because they expired.", counters.dropped_expired);
  out.count("mqtt_dropped_too_large_total", "Messages dropped for clients that take only smaller ones.",
            counters.dropped_too_large);
}

// Counted as MQTT connections too.
void add_websocket(Metrics& out, const mqtt::MqttCounters& counters) {
  add_mqtt(out, counters);
  out.count("mqtt_websocket_accepted_total", "MQTT connections over WebSocket accepted.", counters.accepted);
  out.gauge("mqtt_websocket_connections", "MQTT connections over WebSocket.", counters.connections);
}

void add_http(Metrics& out, const http::HttpListener& listener) {
  const http::HttpStats& stats = listener.stats();
  out.count("http_connections_accepted_total", "HTTP connections accepted.", stats.connections_opened);
  out.count("http_connections_refused_total", "HTTP connections refused: too many.",
            stats.connections_refused);
  out.gauge("http_connections", "HTTP connections.", listener.connections());
  out.count("http_requests_total", "HTTP requests.", stats.requests);
  out.count("http_requests_malformed_total", "HTTP requests that made no sense.", stats.requests_malformed);
  out.count("http_websockets_refused_total", "HTTP requests for a WebSocket that were refused.",
            stats.websockets_refused);
}

void add_kafka(Metrics& out, const kafka::KafkaListener& listener) {
  const kafka::KafkaStats& stats = listener.stats();
  out.count("kafka_connections_accepted_total", "Kafka connections accepted.", stats.connections_opened);
  out.count("kafka_connections_refused_total", "Kafka connections refused: too many.",
            stats.connections_refused);
  out.gauge("kafka_connections", "Kafka connections.", listener.connections());
  out.count("kafka_requests_total", "Kafka requests.", stats.requests);
  out.count("kafka_requests_malformed_total", "Kafka requests that made no sense.", stats.requests_malformed);
  out.count("kafka_requests_unsupported_total", "Kafka requests of APIs or versions not served.",
            stats.requests_unsupported);
  out.count("kafka_requests_before_login_total",
            "Kafka requests of clients that should have logged in first.", stats.requests_before_login);
  out.count("kafka_bytes_in_total", "Bytes received from Kafka clients.", stats.bytes_in);
  out.count("kafka_bytes_out_total", "Bytes sent to Kafka clients.", stats.bytes_out);
  const kafka::FetchSessions& sessions = listener.fetch_sessions();
  out.gauge("kafka_fetch_sessions", "Fetch sessions.", sessions.sessions());
  out.gauge("kafka_fetch_session_partitions", "Partitions of all fetch sessions.", sessions.partitions());
  out.count("kafka_fetch_sessions_opened_total", "Fetch sessions begun.", sessions.stats().opened);
  out.count("kafka_fetch_sessions_evicted_total", "Fetch sessions that gave way to others.",
            sessions.stats().evicted);
  out.count("kafka_fetch_sessions_refused_total", "Fetch sessions not begun or ended for want of room.",
            sessions.stats().refused);
}

void add_journal(Metrics& out, const journal::JournalServer& journal) {
  const storage::SegmentStoreStats store = journal.store().stats();
  out.gauge("wal_files", "Files of the write-ahead log.", store.files);
  out.gauge("wal_bytes", "Bytes of the write-ahead log.", store.log_bytes);
  out.gauge("wal_live_bytes", "Of them still needed.", store.live_bytes);
  out.gauge("wal_pending_bytes", "Appended and not yet stored.", store.pending_bytes);
  out.gauge("wal_cache_bytes", "Entries kept in memory.", store.cache_bytes);
  out.gauge("wal_segments", "Segments stored.", store.segments);
  out.count("wal_entries_total", "Entries appended.", store.entries);
  out.count("wal_batches_total", "Group commits.", store.batches);
  out.count("wal_written_bytes_total", "Bytes written.", store.written_bytes);
  out.count("wal_syncs_total", "Syncs.", store.syncs);
  out.count("wal_failed_syncs_total", "Syncs that failed.", store.failed_syncs);
  out.count("wal_moved_bytes_total", "Live bytes moved out of mostly dead files.", store.moved_bytes);
  out.count("wal_cached_reads_total", "Reads served from memory.", store.cached_reads);
  out.count("wal_disk_reads_total", "Reads from the disk.", store.disk_reads);
  out.gauge("wal_no_space", "1 while the disk is full.", store.no_space ? 1 : 0);
  out.gauge("wal_failed", "1 once the log cannot be written.", store.failed ? 1 : 0);
}

void add_rpc(Metrics& out, const ClusterPart::OnCore& core) {
  if (core.server) {
    const rpc::ServerStats& stats = core.server->stats();
    out.count("rpc_accepted_total", "Connections of other nodes accepted.", stats.accepted);
    out.gauge("rpc_connections", "Connections of other nodes.", core.server->connections());
    for (std::size_t i = 1; i < rpc::kReasons; ++i) {
      const std::string name =
          "rpc_refused_" + std::string(to_string(static_cast<rpc::Reason>(i))) + "_total";
      out.count(name.c_str(), "Nodes that were not let in, for this reason.", stats.refused[i]);
    }
    std::uint64_t wrong = stats.turned_away + stats.no_hello;
    for (const std::uint64_t count : stats.wrong) wrong += count;
    out.count("rpc_strangers_total", "Connections closed that were none of a node, or broke its rules.",
              wrong);
    out.count("rpc_silent_total", "Connections given up because nothing was heard.", stats.silent);
    out.count("rpc_requests_total", "Requests of other nodes.", stats.requests);
    out.count("rpc_messages_total", "Messages of other nodes.", stats.messages);
  }
  if (!core.peers) return;
  std::uint64_t up = 0;
  for (const auto& [node, channel] : core.peers->all()) {
    const rpc::ChannelStats& stats = channel->stats();
    up += channel->up();
    out.count("rpc_connects_total", "Connections made to other nodes.", stats.connects);
    out.count("rpc_connect_failures_total", "Other nodes that were not reached.", stats.connect_failures);
    out.count("rpc_lost_total", "Connections to other nodes that were lost.", stats.lost);
    out.count("rpc_calls_total", "Requests sent to other nodes.", stats.calls);
    out.count("rpc_messages_sent_total", "Messages sent to other nodes.", stats.messages);
    out.count("rpc_messages_dropped_total", "Messages to other nodes that were dropped.",
              stats.messages_dropped);
  }
  if (core.runtime.core() == CoreId(0)) out.gauge("rpc_peers_up", "Other nodes that are connected to.", up);
}

void add_group(Metrics& out, const ClusterPart& cluster) {
  const meta::GroupLog* log = cluster.log();
  if (!log) return;
  const raft::MemberStatus status = log->member().status();
  const raft::MemberStats& member = log->member().stats();
  out.gauge("meta_leader", "1 while this node leads the meta service.",
            status.role == raft::Role::kLeader ? 1 : 0);
  out.gauge("meta_has_leader", "1 while a leader of the meta service is known.", status.leader ? 1 : 0);
  out.gauge("meta_term", "Raft term of the meta service.", status.term.value);
  out.gauge("meta_applied", "Entry up to which the meta log is applied here.", status.applied.value);
  out.gauge("meta_committed", "Entry up to which it is known to be committed.", status.commit.value);
  out.gauge("meta_voters", "Nodes that vote in the meta service.", status.membership.voters.size());
  out.gauge("meta_learners", "Nodes that have a copy and do not vote.", status.membership.learners.size());
  out.count("meta_elections_won_total", "Elections that this node has won.", member.elections_won);
  out.count("meta_leader_changes_total", "Changes of the leader seen.", member.leader_changes);
  out.count("meta_snapshots_sent_total", "Copies of the meta database sent to others.",
            member.snapshots_sent);
  out.count("meta_snapshots_installed_total", "Copies of the meta database taken over.",
            member.snapshots_installed);
  out.count("meta_commands_total", "Commands given to this node.", log->stats().proposed);
  out.count("meta_commands_forwarded_total", "Attempts of them at the leader.", log->stats().forwarded);
  out.count("meta_commands_again_total", "Attempts after the first.", log->stats().again);
  out.count("meta_commands_given_up_total", "Commands and reads whose patience was over.",
            log->stats().given_up);
  out.gauge("cluster_lease", "1 while this node may take itself to be part of the cluster.",
            cluster.holds_lease() ? 1 : 0);
  if (status.role == raft::Role::kLeader) {
    std::uint64_t lag = 0;
    for (const auto& [node, peer] : status.peers) {
      if (peer.active) lag = std::max(lag, status.last.value - std::min(status.last, peer.match).value);
    }
    out.gauge("meta_lag_entries",
              "At the leader: entries of the meta log that some member lacks, of those who are there.", lag);
  }
  std::uint64_t live = 0, draining = 0, leaderless = 0, moving = 0;
  const auto view = log->view();
  for (const auto& [id, node] : view->nodes()) {
    live += node.lives;
    draining += node.draining;
  }
  for (const meta::ShardPlace& place : view->shards()) {
    const ShardState state = state_of(place, view->nodes());
    leaderless += state == ShardState::kLeaderless;
    moving += state == ShardState::kMoving;
  }
  out.gauge("cluster_nodes", "Nodes of the cluster.", view->nodes().size());
  out.gauge("cluster_nodes_live", "Of them, those whose lease has not ended.", live);
  out.gauge("cluster_nodes_draining", "Nodes that are being drained.", draining);
  out.gauge("cluster_shards_leaderless", "Shards that nobody serves, as this node knows.", leaderless);
  out.gauge("cluster_shards_moving", "Shards that are to go to another node.", moving);
  if (!cluster.controller()) return;
  const meta::ControllerStats& controller = cluster.controller()->stats();
  out.count("controller_renewals_total", "Leases renewed by this node as leader.", controller.renewals);
  out.count("controller_incarnations_ended_total", "Nodes taken for gone.", controller.ended);
  out.count("controller_shards_assigned_total", "Shards given to a node.", controller.assigned);
  out.count("controller_shards_moved_total", "Of them, only for balance.", controller.moved);
}

void add_segments(Metrics& out, const SegmentCounts& counts) {
  out.gauge("cluster_segments", "At the leader of the meta service: segments of all shards.", counts.all);
  out.gauge("cluster_segments_under_replicated",
            "Of them, those that have fewer replicas on live nodes than a segment should have.",
            counts.under_replicated);
  out.gauge("cluster_segments_without_quorum", "Of them, open ones that cannot commit for want of replicas.",
            counts.without_quorum);
  out.gauge("cluster_segments_unreadable", "Of them, those of which no replica is there.", counts.unreadable);
}

}  // namespace

struct Node::Counting {
  static Task<Metrics> here(OnCore& there) {
    Metrics out;
    if (there.broker) add_broker(out, *there.broker);
    if (there.access) add_access(out, there.access->stats());
    if (there.tls) add_tls(out, there.tls->stats());
    for (const auto& listener : there.mqtt) add_mqtt(out, listener->counters());
    if (there.websocket) add_websocket(out, there.websocket->mqtt->counters());
    for (const auto& listener : there.kafka) add_kafka(out, *listener);
    co_return out;
  }
  static Task<Metrics> rpc(const ClusterPart* cluster, std::size_t core) {
    Metrics out;
    add_rpc(out, cluster->on_core(core));
    co_return out;
  }
};

Task<std::vector<MetricFamily>> Node::metrics() {
  Metrics all;
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    all.merge(co_await on_core<Metrics>(core, [](OnCore& there) { return Counting::here(there); }));
  }
  if (const ClusterPart* cluster = shared_->cluster.get()) {
    for (std::size_t core = 0; core < cores_.size(); ++core) {
      all.merge(
          co_await on_core<Metrics>(core, [cluster, core](OnCore&) { return Counting::rpc(cluster, core); }));
    }
    add_group(all, *cluster);
    if (shared_->cluster_admin) {
      if (const auto counts = co_await shared_->cluster_admin->count_segments()) add_segments(all, *counts);
    }
  }
  for (const auto& listener : shared_->http) add_http(all, *listener);
  if (shared_->journal) add_journal(all, *shared_->journal);
  std::vector<MetricFamily> families = std::move(all).take();
  if (config_.process_metrics) config_.process_metrics(families);
  co_return families;
}

}  // namespace stele::server
