import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownMemberIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** One case of the Java client per call: `Cases BOOTSTRAP CASE PREFIX`. PREFIX begins every topic's name. */
public final class Cases {
  private static final int LIMIT_S = 30;
  // Records of long ago may be deleted as soon as they are written.
  private static final long START_MS = System.currentTimeMillis() - 60_000;
  private final String bootstrap;
  private final String prefix;

  private Cases(String bootstrap, String prefix) {
    this.bootstrap = bootstrap;
    this.prefix = prefix;
  }

  public static void main(String[] args) throws Exception {
    Cases cases = new Cases(args[0], args[2]);
    switch (args[1]) {
      case "topics" -> cases.topics();
      case "topic_errors" -> cases.topicErrors();
      case "cluster" -> cases.cluster();
      case "configs" -> cases.configs();
      case "idempotent_producer" -> cases.produceAndConsume(Map.of());
      case "plain_producer" -> cases.produceAndConsume(Map.of("enable.idempotence", "false", "acks", "1"));
      case "compressed" -> cases.compressed();
      case "seek" -> cases.seek();
      case "fetch_sessions" -> cases.fetchSessions();
      case "follow" -> cases.follow(args[3]);
      case "send" -> cases.send(args[3], args[4], Integer.parseInt(args[5]));
      case "receive" -> cases.receive(List.of(args[3].split(",")), Integer.parseInt(args[4]));
      case "log_dirs" -> cases.logDirs();
      case "delete_records" -> cases.deleteRecords();
      case "grow" -> cases.grow();
      case "alter_configs" -> cases.alterConfigs();
      case "times" -> cases.times();
      case "poll_waits" -> cases.pollWaits();
      case "auto_create" -> cases.autoCreate();
      case "group_offsets" -> cases.groupOffsets();
      case "group_rebalance" -> cases.groupRebalance("org.apache.kafka.clients.consumer.RangeAssignor");
      case "group_cooperative" -> cases.groupRebalance("org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
      case "group_static" -> cases.groupStatic();
      case "group_admin" -> cases.groupAdmin();
      default -> throw new IllegalArgumentException(args[1]);
    }
    System.out.println("done");
  }

  // Topics.

  private void topics() throws Exception {
    try (Admin admin = admin()) {
      create(admin, "t1", 3);
      create(admin, "t2", 1);
      Set<String> names = get(admin.listTopics().names());
      check(names.containsAll(List.of(prefix + "t1", prefix + "t2")), "both are listed: " + names);
      TopicDescription seen = get(admin.describeTopics(List.of(prefix + "t1")).allTopicNames()).get(prefix + "t1");
      equal(seen.partitions().size(), 3, "partitions");
      check(seen.partitions().stream().allMatch(p -> p.leader() != null && !p.leader().isEmpty()), "leaders");
      TopicDescription byId = get(admin.describeTopics(
          org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(seen.topicId()))).allTopicIds()).get(seen.topicId());
      equal(byId.name(), prefix + "t1", "described by its id");
      get(admin.deleteTopics(List.of(prefix + "t1")).all());
      eventually(() -> !get(admin.listTopics().names()).contains(prefix + "t1"), "gone from the list");
      check(get(admin.listTopics().names()).contains(prefix + "t2"), "the other stays");
      create(admin, "t1", 2);
      equal(get(admin.describeTopics(List.of(prefix + "t1")).allTopicNames()).get(prefix + "t1").partitions().size(), 2,
          "partitions of its successor");
      ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, prefix + "t1");
      Config config = get(admin.describeConfigs(List.of(resource)).all()).get(resource);
      check(config.get("retention.ms") != null, "retention.ms is described");
    }
  }

  private void topicErrors() throws Exception {
    try (Admin admin = admin()) {
      create(admin, "once", 1);
      fails(TopicExistsException.class, admin.createTopics(List.of(new NewTopic(prefix + "once", 1, (short) 1))).all());
      fails(InvalidTopicException.class, admin.createTopics(List.of(new NewTopic("no/slash", 1, (short) 1))).all());
      fails(UnknownTopicOrPartitionException.class, admin.deleteTopics(List.of(prefix + "never")).all());
      fails(UnknownTopicOrPartitionException.class, admin.describeTopics(List.of(prefix + "never")).allTopicNames());
    }
  }

  private void cluster() throws Exception {
    try (Admin admin = admin()) {
      equal(get(admin.describeCluster().nodes()).size(), 1, "nodes");
      check(get(admin.describeCluster().controller()) != null, "a controller");
      check(!get(admin.describeCluster().clusterId()).isEmpty(), "a cluster id");
    }
  }

  private void configs() throws Exception {
    try (Admin admin = admin()) {
      NewTopic topic = new NewTopic(prefix + "configured", 1, (short) 1).configs(Map.of("retention.ms", "86400000"));
      get(admin.createTopics(List.of(topic)).all());
      ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, prefix + "configured");
      eventually(() -> get(admin.listTopics().names()).contains(prefix + "configured"), "listed after it was created");
      Config config = get(admin.describeConfigs(List.of(resource)).all()).get(resource);
      ConfigEntry set = config.get("retention.ms");
      equal(set.value(), "86400000", "retention.ms");
      equal(set.source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "where it comes from");
      check(!set.isReadOnly() && !set.isDefault() && !set.isSensitive(), "it can be set");
      equal(config.get("cleanup.policy").value(), "delete", "cleanup.policy");
      equal(config.get("cleanup.policy").source(), ConfigEntry.ConfigSource.DEFAULT_CONFIG, "of the default");
      equal(config.get("compression.type").value(), "producer", "compression.type");
      equal(config.get("min.insync.replicas").value(), "1", "min.insync.replicas");
      equal(config.get("max.message.bytes").value(), "1048588", "max.message.bytes");
      equal(config.get("message.timestamp.type").value(), "CreateTime", "message.timestamp.type");
      Node node = get(admin.describeCluster().nodes()).iterator().next();
      ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, node.idString());
      Config own = get(admin.describeConfigs(List.of(broker)).all()).get(broker);
      check(own.get("num.partitions") != null && own.get("num.partitions").isReadOnly(), "num.partitions");
      check(own.get("auto.create.topics.enable") != null, "auto.create.topics.enable");
      ConfigResource never = new ConfigResource(ConfigResource.Type.TOPIC, prefix + "never");
      fails(UnknownTopicOrPartitionException.class, admin.describeConfigs(List.of(never)).all());
    }
  }

  private void grow() throws Exception {
    try (Admin admin = admin(); KafkaConsumer<String, String> consumer = member("growing", Map.of("metadata.max.age.ms", "500"))) {
      create(admin, "growing", 2);
      consumer.subscribe(List.of(prefix + "growing"));
      fill("growing", 2, 0, 4);
      poll(consumer, 4);
      consumer.commitSync();
      fails(InvalidPartitionsException.class,
          admin.createPartitions(Map.of(prefix + "growing", NewPartitions.increaseTo(2))).all());
      fails(UnknownTopicOrPartitionException.class,
          admin.createPartitions(Map.of(prefix + "never", NewPartitions.increaseTo(2))).all());
      get(admin.createPartitions(Map.of(prefix + "growing", NewPartitions.increaseTo(5))).all());
      eventually(() -> get(admin.describeTopics(List.of(prefix + "growing")).allTopicNames())
          .get(prefix + "growing").partitions().size() == 5, "five partitions");
      eventually(() -> {
        consumer.poll(Duration.ofMillis(100));
        return consumer.assignment().size() == 5;
      }, "the group has them all");
      fill("growing", 5, 10, 15);
      equal(sorted(poll(consumer, 5)), List.of("v10", "v11", "v12", "v13", "v14"), "records of old and new ones");
    }
  }

  private void alterConfigs() throws Exception {
    ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, prefix + "altered");
    try (Admin admin = admin()) {
      create(admin, "altered", 1);
      alter(admin, topic, "retention.ms", "86400000", AlterConfigOp.OpType.SET);
      eventually(() -> configs(admin, topic).get("retention.ms").value().equals("86400000"), "retention.ms is set");
      equal(configs(admin, topic).get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "source");
      alter(admin, topic, "retention.bytes", "1000000", AlterConfigOp.OpType.SET);
      eventually(() -> configs(admin, topic).get("retention.bytes").value().equals("1000000"), "retention.bytes is set");
      equal(configs(admin, topic).get("retention.ms").value(), "86400000", "and retention.ms as it was");
      alter(admin, topic, "retention.ms", null, AlterConfigOp.OpType.DELETE);
      eventually(() -> configs(admin, topic).get("retention.ms").isDefault(), "retention.ms is the default again");
      for (String wrong : List.of("no.such.setting", "retention.ms")) {
        fails(InvalidConfigurationException.class, admin.incrementalAlterConfigs(Map.of(topic,
            List.of(new AlterConfigOp(new ConfigEntry(wrong, "soon"), AlterConfigOp.OpType.SET)))).all());
      }
      ConfigResource never = new ConfigResource(ConfigResource.Type.TOPIC, prefix + "never");
      fails(UnknownTopicOrPartitionException.class, admin.incrementalAlterConfigs(Map.of(never,
          List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "5"), AlterConfigOp.OpType.SET)))).all());
    }
  }

  private static Config configs(Admin admin, ConfigResource resource) throws Exception {
    return get(admin.describeConfigs(List.of(resource)).all()).get(resource);
  }

  private static void alter(Admin admin, ConfigResource resource, String name, String value, AlterConfigOp.OpType how)
      throws Exception {
    get(admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(name, value), how)))).all());
  }

  private void autoCreate() throws Exception {
    try (KafkaProducer<String, String> producer = producer(Map.of())) {
      equal(get(producer.send(new ProducerRecord<>(prefix + "auto", "x"))).offset(), 0L, "offset");
    }
    equal(values(read("auto", 0, 1)), List.of("x"), "record");
  }

  // Records.

  private void produceAndConsume(Map<String, String> config) throws Exception {
    int count = 2000;
    List<Header> headers = List.of(new RecordHeader("a", bytes("1")), new RecordHeader("b", null),
        new RecordHeader("a", bytes("2")));
    try (Admin admin = admin(); KafkaProducer<String, String> producer = producer(config)) {
      create(admin, "records", 1);
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        sent.add(producer.send(new ProducerRecord<>(prefix + "records", 0, START_MS + i, "k" + i, "v" + i, headers)));
      }
      for (int i = 0; i < count; i++) {
        equal(get(sent.get(i)).offset(), (long) i, "offset of record " + i);
      }
      equal(get(producer.send(new ProducerRecord<>(prefix + "records", null, null))).offset(), (long) count, "nulls");
    }
    List<ConsumerRecord<String, String>> got = read("records", 0, count + 1);
    for (int i = 0; i < count; i++) {
      ConsumerRecord<String, String> record = got.get(i);
      equal(record.offset(), (long) i, "offset");
      equal(record.key(), "k" + i, "key");
      equal(record.value(), "v" + i, "value");
      equal(record.timestamp(), START_MS + i, "timestamp");
      equal(List.of(record.headers().toArray()), headers, "headers");
    }
    check(got.get(count).key() == null && got.get(count).value() == null, "null key and value");
  }

  private void compressed() throws Exception {
    List<String> expected = new ArrayList<>();
    for (String type : List.of("gzip", "snappy", "lz4", "zstd", "none")) {
      try (KafkaProducer<String, String> producer = producer(Map.of("compression.type", type, "linger.ms", "50"))) {
        for (int i = 0; i < 200; i++) {
          expected.add(type + " " + i + " " + "z".repeat(100));
          producer.send(new ProducerRecord<>(prefix + "compressed", 0, null, expected.get(expected.size() - 1)));
        }
      }
    }
    equal(values(read("compressed", 0, expected.size())), expected, "values");
  }

  private void seek() throws Exception {
    TopicPartition zero = new TopicPartition(prefix + "seek", 0);
    TopicPartition one = new TopicPartition(prefix + "seek", 1);
    try (Admin admin = admin(); KafkaProducer<String, String> producer = producer(Map.of())) {
      create(admin, "seek", 2);
      for (int i = 0; i < 10; i++) {
        producer.send(new ProducerRecord<>(prefix + "seek", i % 2, null, "v" + i));
      }
    }
    try (KafkaConsumer<String, String> consumer = consumer()) {
      consumer.assign(List.of(zero, one));
      equal(consumer.beginningOffsets(List.of(zero, one)), Map.of(zero, 0L, one, 0L), "beginning");
      equal(consumer.endOffsets(List.of(zero, one)), Map.of(zero, 5L, one, 5L), "end");
      consumer.seekToBeginning(List.of(zero, one));
      equal(poll(consumer, 10).size(), 10, "from the beginning");
      consumer.seekToEnd(List.of(zero));
      equal(consumer.position(zero), 5L, "position at the end");
      consumer.seek(zero, 3);
      equal(values(poll(consumer, 2)), List.of("v6", "v8"), "from offset 3");
      consumer.assign(List.of(one));
      consumer.seekToBeginning(List.of(one));
      equal(values(poll(consumer, 5)), List.of("v1", "v3", "v5", "v7", "v9"), "the other partition");
    }
    try (Admin admin = admin()) {
      equal(get(admin.listOffsets(Map.of(zero, OffsetSpec.latest())).all()).get(zero).offset(), 5L, "latest");
      equal(get(admin.listOffsets(Map.of(zero, OffsetSpec.earliest())).all()).get(zero).offset(), 0L, "earliest");
    }
  }

  // A consumer names to the broker only what has changed: offsets, partitions that it pauses, takes on, drops.
  private void fetchSessions() throws Exception {
    List<TopicPartition> partitions = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      partitions.add(new TopicPartition(prefix + "changing", i));
    }
    try (Admin admin = admin(); KafkaConsumer<String, String> consumer = consumer()) {
      create(admin, "changing", 4);
      consumer.assign(partitions.subList(0, 3));
      consumer.seekToBeginning(consumer.assignment());
      consumer.poll(Duration.ofMillis(200));
      for (int i = 0; i < 20; i++) {
        consumer.poll(Duration.ofMillis(1));
        fill("changing", 3, i, i + 1);
        equal(values(poll(consumer, 1)), List.of("v" + i), "from one partition of three");
      }
      consumer.pause(partitions.subList(0, 1));
      consumer.poll(Duration.ofMillis(100));
      fill("changing", 3, 30, 33);
      equal(sorted(poll(consumer, 2)), List.of("v31", "v32"), "not from the one that is paused");
      consumer.resume(partitions.subList(0, 1));
      equal(values(poll(consumer, 1)), List.of("v30"), "when it goes on");
      consumer.assign(partitions.subList(2, 4));
      consumer.seekToEnd(partitions.subList(2, 3));
      consumer.seekToBeginning(partitions.subList(3, 4));
      consumer.poll(Duration.ofMillis(100));
      fill("changing", 4, 40, 44);
      equal(sorted(poll(consumer, 2)), List.of("v42", "v43"), "from those that it has now");
      consumer.seek(partitions.get(3), 0);
      equal(values(poll(consumer, 1)), List.of("v43"), "again");
    }
  }

  // Prints each record of a topic's only partition as it comes; the last one is `end`.
  private void follow(String topic) {
    try (KafkaConsumer<String, String> consumer = consumer()) {
      consumer.assign(List.of(new TopicPartition(topic, 0)));
      consumer.seekToBeginning(consumer.assignment());
      long expected = 0;
      while (true) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
          equal(record.offset(), expected++, "offset");
          System.out.println("got " + record.value());
          if (record.value().equals("end")) {
            return;
          }
        }
      }
    }
  }

  // Records NAME-0, NAME-1 … with a header `by`.
  private void send(String topic, String name, int count) throws Exception {
    List<Header> headers = List.of(new RecordHeader("by", bytes(name)));
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    try (KafkaProducer<String, String> producer = producer(Map.of())) {
      for (int i = 0; i < count; i++) {
        sent.add(producer.send(new ProducerRecord<>(topic, null, null, null, name + "-" + i, headers)));
      }
      for (Future<RecordMetadata> one : sent) {
        get(one);
      }
    }
  }

  // Prints so many records of these topics' first partitions.
  private void receive(List<String> topics, int count) {
    try (KafkaConsumer<String, String> consumer = consumer()) {
      consumer.assign(topics.stream().map(topic -> new TopicPartition(topic, 0)).toList());
      consumer.seekToBeginning(consumer.assignment());
      for (ConsumerRecord<String, String> record : poll(consumer, count)) {
        String by = new String(record.headers().lastHeader("by").value(), StandardCharsets.UTF_8);
        System.out.println("got " + record.topic() + " " + record.value() + " by=" + by);
      }
    }
  }

  private void logDirs() throws Exception {
    try (Admin admin = admin()) {
      create(admin, "sized", 3);
      fill("sized", 2, 0, 100);
      int node = get(admin.describeCluster().nodes()).iterator().next().id();
      var all = get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node);
      equal(all.size(), 1, "directories");
      var directory = all.values().iterator().next();
      check(directory.error() == null, "no error");
      for (int i = 0; i < 3; i++) {
        var replica = directory.replicaInfos().get(new TopicPartition(prefix + "sized", i));
        check(replica != null, "partition " + i + " is there");
        check((replica.size() > 0) == (i < 2), "size of partition " + i + ": " + replica.size());
        check(!replica.isFuture() && replica.offsetLag() == 0, "it is complete");
      }
    }
  }

  private void deleteRecords() throws Exception {
    TopicPartition zero = new TopicPartition(prefix + "deleted", 0), one = new TopicPartition(prefix + "deleted", 1);
    try (Admin admin = admin(); KafkaConsumer<String, String> consumer = consumer()) {
      create(admin, "deleted", 2);
      fill("deleted", 2, 0, 20);
      var gone = admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(4), one, RecordsToDelete.beforeOffset(-1)));
      equal(get(gone.lowWatermarks().get(zero)).lowWatermark(), 4L, "low watermark");
      equal(get(gone.lowWatermarks().get(one)).lowWatermark(), 10L, "of all that are there");
      fails(OffsetOutOfRangeException.class, admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(11))).all());
      equal(get(admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(1))).lowWatermarks().get(zero)).lowWatermark(),
          4L, "it never goes back");
      equal(get(admin.listOffsets(Map.of(zero, OffsetSpec.earliest())).all()).get(zero).offset(), 4L, "earliest");
      consumer.assign(List.of(zero, one));
      consumer.seekToBeginning(consumer.assignment());
      equal(values(poll(consumer, 6)), List.of("v8", "v10", "v12", "v14", "v16", "v18"), "what is left");
      // To what is gone: it is reset to what is not.
      consumer.seek(zero, 0);
      equal(values(poll(consumer, 6)).get(0), "v8", "after a reset");
    }
  }

  private void times() throws Exception {
    TopicPartition partition = new TopicPartition(prefix + "times", 0);
    try (KafkaProducer<String, String> producer = producer(Map.of("batch.size", "1"))) {
      for (long time : new long[] {1000, 2000, 2000, 5000}) {
        get(producer.send(new ProducerRecord<>(prefix + "times", 0, START_MS + time, null, "at " + time)));
      }
    }
    try (KafkaConsumer<String, String> consumer = consumer()) {
      long[][] expected = {{0, 0}, {1000, 0}, {1001, 1}, {2000, 1}, {2001, 3}, {5000, 3}};
      for (long[] pair : expected) {
        OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, START_MS + pair[0])).get(partition);
        equal(found.offset(), pair[1], "offset for time " + pair[0]);
      }
      check(consumer.offsetsForTimes(Map.of(partition, START_MS + 5001L)).get(partition) == null, "nothing after the last");
    }
    try (Admin admin = admin()) {
      var newest = get(admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).all()).get(partition);
      equal(newest.offset(), 3L, "offset of the largest timestamp");
    }
  }

  private void pollWaits() throws Exception {
    try (KafkaProducer<String, String> producer = producer(Map.of()); KafkaConsumer<String, String> consumer = consumer()) {
      get(producer.send(new ProducerRecord<>(prefix + "live", 0, null, "first")));
      consumer.assign(List.of(new TopicPartition(prefix + "live", 0)));
      consumer.seekToEnd(consumer.assignment());
      consumer.position(new TopicPartition(prefix + "live", 0));
      for (int i = 0; i < 50; i++) {
        producer.send(new ProducerRecord<>(prefix + "live", 0, null, "live " + i));
        equal(values(poll(consumer, 1)), List.of("live " + i), "the next record");
      }
    }
  }

  // Groups.

  private KafkaConsumer<String, String> member(String group, Map<String, String> config) {
    Properties all = new Properties();
    all.put("bootstrap.servers", bootstrap);
    all.put("group.id", prefix + group);
    all.put("auto.offset.reset", "earliest");
    all.put("enable.auto.commit", "false");
    all.put("heartbeat.interval.ms", "300");
    all.putAll(config);
    return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
  }

  private void fill(String topic, int partitions, int from, int to) throws Exception {
    try (KafkaProducer<String, String> producer = producer(Map.of())) {
      for (int i = from; i < to; i++) {
        get(producer.send(new ProducerRecord<>(prefix + topic, i % partitions, null, "v" + i)));
      }
    }
  }

  private static List<String> sorted(List<ConsumerRecord<String, String>> records) {
    return values(records).stream().sorted().toList();
  }

  private void groupOffsets() throws Exception {
    TopicPartition zero = new TopicPartition(prefix + "offsets", 0);
    try (Admin admin = admin()) {
      create(admin, "offsets", 2);
    }
    fill("offsets", 2, 0, 10);
    try (KafkaConsumer<String, String> consumer = member("offsets", Map.of())) {
      consumer.subscribe(List.of(prefix + "offsets"));
      poll(consumer, 10);
      consumer.commitSync(Map.of(zero, new OffsetAndMetadata(3, "a note")));
      OffsetAndMetadata committed = consumer.committed(Set.of(zero)).get(zero);
      equal(committed.offset(), 3L, "committed");
      equal(committed.metadata(), "a note", "metadata");
    }
    try (KafkaConsumer<String, String> consumer = member("offsets", Map.of())) {
      consumer.subscribe(List.of(prefix + "offsets"));
      equal(sorted(poll(consumer, 7)), List.of("v1", "v3", "v5", "v6", "v7", "v8", "v9"), "from what was committed");
      consumer.commitSync();
    }
    // By assignment, with the group's offsets.
    try (KafkaConsumer<String, String> consumer = member("offsets", Map.of())) {
      consumer.assign(List.of(zero));
      equal(consumer.position(zero), 5L, "position");
      consumer.commitSync(Map.of(zero, new OffsetAndMetadata(1)));
      equal(consumer.committed(Set.of(zero)).get(zero).offset(), 1L, "committed by assignment");
    }
  }

  // Polls both until each has so many partitions.
  private static void settle(KafkaConsumer<String, String> one, int ofOne, KafkaConsumer<String, String> two, int ofTwo)
      throws Exception {
    eventually(() -> {
      one.poll(Duration.ofMillis(100));
      two.poll(Duration.ofMillis(100));
      return one.assignment().size() == ofOne && two.assignment().size() == ofTwo;
    }, "partitions are shared");
    Set<TopicPartition> both = new HashSet<>(one.assignment());
    both.addAll(two.assignment());
    equal(both.size(), ofOne + ofTwo, "each partition has one owner");
  }

  private void groupRebalance(String assignor) throws Exception {
    Map<String, String> config = Map.of("partition.assignment.strategy", assignor);
    try (Admin admin = admin()) {
      create(admin, "shared", 4);
    }
    KafkaConsumer<String, String> two = member("shared", config);
    try (KafkaConsumer<String, String> one = member("shared", config)) {
      one.subscribe(List.of(prefix + "shared"));
      eventually(() -> {
        one.poll(Duration.ofMillis(100));
        return one.assignment().size() == 4;
      }, "one member has all");
      two.subscribe(List.of(prefix + "shared"));
      settle(one, 2, two, 2);
      fill("shared", 4, 0, 8);
      List<String> got = new ArrayList<>(values(poll(one, 4)));
      got.addAll(values(poll(two, 4)));
      equal(got.stream().sorted().toList(), List.of("v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"), "each once");
      one.commitSync();
      two.commitSync();
      two.close();
      eventually(() -> {
        one.poll(Duration.ofMillis(100));
        return one.assignment().size() == 4;
      }, "all again when the other has left");
      fill("shared", 4, 8, 12);
      equal(sorted(poll(one, 4)), List.of("v10", "v11", "v8", "v9"), "read on");
    }
  }

  private void groupStatic() throws Exception {
    Map<String, String> first = Map.of("group.instance.id", "first"), second = Map.of("group.instance.id", "second");
    try (Admin admin = admin()) {
      create(admin, "static", 2);
    }
    Set<TopicPartition> owned;
    try (KafkaConsumer<String, String> other = member("static", second)) {
      try (KafkaConsumer<String, String> one = member("static", first)) {
        one.subscribe(List.of(prefix + "static"));
        other.subscribe(List.of(prefix + "static"));
        settle(one, 1, other, 1);
        owned = Set.copyOf(one.assignment());
      }
      // Closing is not leaving: its place is kept.
      try (KafkaConsumer<String, String> one = member("static", first)) {
        one.subscribe(List.of(prefix + "static"));
        settle(one, 1, other, 1);
        equal(Set.copyOf(one.assignment()), owned, "the same partition");
        // A second process with the same instance fences the first.
        try (KafkaConsumer<String, String> thief = member("static", first)) {
          thief.subscribe(List.of(prefix + "static"));
          eventually(() -> {
            thief.poll(Duration.ofMillis(100));
            return thief.assignment().equals(owned);
          }, "taken over");
          eventually(() -> {
            try {
              one.poll(Duration.ofMillis(100));
              one.commitSync(Map.of(owned.iterator().next(), new OffsetAndMetadata(0)));
              return false;
            } catch (FencedInstanceIdException | CommitFailedException e) {
              return true;
            }
          }, "fenced");
        }
      }
    }
  }

  private void groupAdmin() throws Exception {
    String group = prefix + "admin";
    TopicPartition zero = new TopicPartition(prefix + "admin", 0);
    try (Admin admin = admin(); KafkaConsumer<String, String> consumer = member("admin", Map.of("client.id", "app"))) {
      create(admin, "admin", 1);
      fill("admin", 1, 0, 3);
      consumer.subscribe(List.of(prefix + "admin"));
      poll(consumer, 3);
      consumer.commitSync();
      var there = get(admin.describeConsumerGroups(List.of(group)).describedGroups().get(group));
      equal(there.groupState().toString(), "Stable", "state");
      equal(there.members().size(), 1, "members");
      var member = there.members().iterator().next();
      equal(member.clientId(), "app", "client id");
      equal(member.assignment().topicPartitions(), Set.of(zero), "assignment");
      check(get(admin.listGroups().all()).stream().anyMatch(one -> one.groupId().equals(group)), "listed");
      equal(get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(zero).offset(), 3L, "offset");
      fails(GroupNotEmptyException.class, admin.deleteConsumerGroups(List.of(group)).all());
      fails(GroupSubscribedToTopicException.class, admin.deleteConsumerGroupOffsets(group, Set.of(zero)).all());
      fails(UnknownMemberIdException.class,
          admin.alterConsumerGroupOffsets(group, Map.of(zero, new OffsetAndMetadata(1))).all());
    }
    try (Admin admin = admin()) {
      get(admin.alterConsumerGroupOffsets(group, Map.of(zero, new OffsetAndMetadata(1))).all());
      equal(get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(zero).offset(), 1L, "altered");
      get(admin.deleteConsumerGroupOffsets(group, Set.of(zero)).all());
      check(get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).isEmpty(), "deleted offsets");
      get(admin.deleteConsumerGroups(List.of(group)).all());
      fails(GroupIdNotFoundException.class, admin.deleteConsumerGroups(List.of(group)).all());
    }
  }

  // Helpers.

  /** Where the broker is, and how to log in if the environment says so. */
  private Properties common() {
    Properties all = new Properties();
    all.put("bootstrap.servers", bootstrap);
    String mechanism = System.getenv("CASES_SASL_MECHANISM");
    if (mechanism != null) {
      all.put("security.protocol", "SASL_PLAINTEXT");
      all.put("sasl.mechanism", mechanism);
      all.put("sasl.jaas.config", System.getenv("CASES_SASL_JAAS"));
    }
    return all;
  }

  private Admin admin() {
    return Admin.create(common());
  }

  private KafkaProducer<String, String> producer(Map<String, String> config) {
    Properties all = common();
    all.putAll(config);
    return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
  }

  private KafkaConsumer<String, String> consumer() {
    Properties all = common();
    all.put("auto.offset.reset", "earliest");
    all.put("enable.auto.commit", "false");
    return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
  }

  private void create(Admin admin, String topic, int partitions) throws Exception {
    get(admin.createTopics(List.of(new NewTopic(prefix + topic, partitions, (short) 1))).all());
    // Kafka answers before every broker knows the topic.
    eventually(() -> get(admin.listTopics().names()).contains(prefix + topic), "listed after it was created");
  }

  private List<ConsumerRecord<String, String>> read(String topic, int partition, int count) {
    try (KafkaConsumer<String, String> consumer = consumer()) {
      consumer.assign(List.of(new TopicPartition(prefix + topic, partition)));
      consumer.seekToBeginning(consumer.assignment());
      return poll(consumer, count);
    }
  }

  private static List<ConsumerRecord<String, String>> poll(KafkaConsumer<String, String> consumer, int count) {
    List<ConsumerRecord<String, String>> got = new ArrayList<>();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_S);
    while (got.size() < count && System.nanoTime() < deadline) {
      consumer.poll(Duration.ofMillis(500)).forEach(got::add);
    }
    equal(got.size(), count, "number of records");
    return got;
  }

  private static List<String> values(Collection<ConsumerRecord<String, String>> records) {
    return records.stream().map(ConsumerRecord::value).toList();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static <T> T get(Future<T> future) throws Exception {
    return future.get(LIMIT_S, TimeUnit.SECONDS);
  }

  private static <T> T get(KafkaFuture<T> future) throws Exception {
    return future.get(LIMIT_S, TimeUnit.SECONDS);
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void eventually(Condition condition, String what) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_S);
    while (!condition.holds()) {
      check(System.nanoTime() < deadline, what);
      Thread.sleep(50);
    }
  }

  private static void fails(Class<? extends Exception> expected, KafkaFuture<?> future) throws Exception {
    try {
      get(future);
    } catch (ExecutionException e) {
      check(expected.isInstance(e.getCause()), expected.getSimpleName() + " expected, got " + e.getCause());
      return;
    }
    check(false, expected.getSimpleName() + " expected, got success");
  }

  private static void equal(Object actual, Object expected, String what) {
    check(Objects.equals(actual, expected), what + ": " + actual + " where " + expected + " was expected");
  }

  private static void check(boolean condition, String what) {
    if (!condition) {
      System.out.println("failed: " + what);
      System.exit(1);
    }
  }
}
