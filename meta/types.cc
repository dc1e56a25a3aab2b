#include "meta/types.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace stele::meta {

const Topic* MetaView::find_topic(TopicId id) const {
  auto found = topics_.find(id);
  return found == topics_.end() ? nullptr : found->second.get();
}

const Topic* MetaView::find_topic(TenantId tenant, std::string_view name) const {
  auto found = names_.find(NameView{tenant, name});
  return found == names_.end() ? nullptr : found->second.get();
}

const Topic* MetaView::find_topic(const Uuid& uuid) const {
  auto found = uuids_.find(uuid);
  return found == uuids_.end() ? nullptr : found->second.get();
}

const Tenant* MetaView::find_tenant(std::string_view name) const {
  auto found = tenant_names_.find(name);
  return found == tenant_names_.end() ? nullptr : &tenants_.at(found->second);
}

std::optional<ShardId> MetaView::shard_of(StreamId stream) const {
  const Topic* topic = find_topic(stream.topic);
  if (!topic || stream.partition.value < 0 || stream.partition.value >= topic->partition_count()) {
    return std::nullopt;
  }
  return topic->shards[static_cast<std::size_t>(stream.partition.value)];
}

void MetaViewBuilder::put_topic(Topic topic) {
  remove_topic(topic.id);
  auto shared = std::make_shared<const Topic>(std::move(topic));
  view_.topics_.emplace(shared->id, shared);
  view_.uuids_.emplace(shared->uuid, shared);
  const bool is_new = view_.names_.emplace(MetaView::NameKey{shared->tenant, shared->name}, shared).second;
  STELE_ASSERT(is_new);
}

void MetaViewBuilder::remove_topic(TopicId id) {
  auto found = view_.topics_.find(id);
  if (found == view_.topics_.end()) return;
  const MetaView::TopicPtr topic = found->second;
  view_.topics_.erase(found);
  view_.uuids_.erase(topic->uuid);
  view_.names_.erase(MetaView::NameKey{topic->tenant, topic->name});
}

void MetaViewBuilder::put_tenant(Tenant tenant) {
  remove_tenant(tenant.id);
  view_.tenant_names_.emplace(tenant.name, tenant.id);
  view_.tenants_.emplace(tenant.id, std::move(tenant));
}

void MetaViewBuilder::remove_tenant(TenantId id) {
  auto found = view_.tenants_.find(id);
  if (found == view_.tenants_.end()) return;
  view_.tenant_names_.erase(found->second.name);
  view_.tenants_.erase(found);
  const auto of_tenant = [id](const auto& rule) { return rule.second.tenant == id; };
  if (std::ranges::any_of(view_.identities_->rules, of_tenant)) std::erase_if(identities().rules, of_tenant);
}

void MetaViewBuilder::put_node(Node node) {
  const NodeId id = node.id;
  view_.nodes_.insert_or_assign(id, std::move(node));
}

void MetaViewBuilder::put_shard(ShardId id, const ShardPlace& place) {
  if (!shards_) shards_ = std::make_shared<std::vector<ShardPlace>>(*view_.shards_);
  if (shards_->size() <= id.value) shards_->resize(id.value + 1);
  (*shards_)[id.value] = place;
}

Identities& MetaViewBuilder::identities() {
  if (!identities_) identities_ = std::make_shared<Identities>(*view_.identities_);
  return *identities_;
}

void MetaViewBuilder::put_rule(AclRule rule) {
  const AclId id = rule.id;
  identities().rules.insert_or_assign(id, std::move(rule));
}

void MetaViewBuilder::put_token(Token token) {
  std::string hash = token.hash;
  identities().tokens.insert_or_assign(std::move(hash), std::move(token));
}

std::shared_ptr<const MetaView> MetaViewBuilder::finish(std::uint64_t version) && {
  if (identities_) view_.identities_ = std::move(identities_);
  if (shards_) view_.shards_ = std::move(shards_);
  view_.version_ = version;
  return std::make_shared<const MetaView>(std::move(view_));
}

}  // namespace stele::meta
