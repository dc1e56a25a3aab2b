// One case of franz-go per call: `franz BOOTSTRAP CASE TOPIC`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var limit, cancel = context.WithTimeout(context.Background(), 45*time.Second)

func main() {
	defer cancel()
	cases := map[string]func(bootstrap, topic string) error{
		"produce_and_consume": func(b, t string) error { return produceAndConsume(b, t) },
		"not_idempotent": func(b, t string) error {
			return produceAndConsume(b, t, kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()))
		},
		"compressed": compressed,
		"admin":      admin,
		"group":      group,
		"log_dirs":   logDirs,
		"follow":     follow,
		"send":       send,
		"receive":    receive,
	}
	if err := cases[os.Args[2]](os.Args[1], os.Args[3]); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("done")
}

func client(bootstrap string, more ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.AllowAutoTopicCreation()}, more...)...)
	if err != nil {
		panic(err)
	}
	return made
}

func produceAndConsume(bootstrap, topic string, more ...kgo.Opt) error {
	const count = 3000
	producer := client(bootstrap, more...)
	defer producer.Close()
	var records []*kgo.Record
	for i := range count {
		records = append(records, &kgo.Record{
			Topic: topic, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", i),
			Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}},
		})
	}
	if err := producer.ProduceSync(limit, records...).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	got, err := consume(bootstrap, topic, count)
	if err != nil {
		return err
	}
	for i, record := range got {
		if record.Offset != int64(i) || string(record.Key) != fmt.Sprintf("k%d", i) ||
			string(record.Value) != fmt.Sprintf("v%d", i) || len(record.Headers) != 1 {
			return fmt.Errorf("record %d is %v", i, record)
		}
	}
	return nil
}

func compressed(bootstrap, topic string) error {
	codecs := []kgo.CompressionCodec{
		kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(), kgo.NoCompression(),
	}
	for i, codec := range codecs {
		producer := client(bootstrap, kgo.ProducerBatchCompression(codec))
		for j := range 100 {
			value := fmt.Sprintf("%d.%d %0100d", i, j, 0)
			producer.Produce(limit, &kgo.Record{Topic: topic, Value: []byte(value)}, nil)
		}
		err := producer.Flush(limit)
		producer.Close()
		if err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	got, err := consume(bootstrap, topic, 100*len(codecs))
	for i, record := range got {
		if expected := fmt.Sprintf("%d.%d ", i/100, i%100); string(record.Value[:len(expected)]) != expected {
			return fmt.Errorf("record %d is %q", i, record.Value)
		}
	}
	return err
}

func admin(bootstrap, topic string) error {
	made := client(bootstrap)
	defer made.Close()
	admin := kadm.NewClient(made)
	if _, err := admin.CreateTopic(limit, 3, 1, nil, topic); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if _, err := admin.CreateTopic(limit, 3, 1, nil, topic); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create again: %w", err)
	}
	details, err := admin.ListTopics(limit, topic)
	if err != nil || len(details[topic].Partitions) != 3 {
		return fmt.Errorf("list: %v, %w", details, err)
	}
	if err := deleteRecords(made, admin, topic); err != nil {
		return err
	}
	ends, err := admin.ListEndOffsets(limit, topic)
	if err != nil || ends.Error() != nil || len(ends[topic]) != 3 {
		return fmt.Errorf("end offsets: %v, %w", ends, err)
	}
	if _, err := admin.DeleteTopic(limit, topic); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

func deleteRecords(maker *kgo.Client, admin *kadm.Client, topic string) error {
	for i := range 5 {
		if err := maker.ProduceSync(limit, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "v%d", i)}).FirstErr(); err != nil {
			return fmt.Errorf("produce: %w", err)
		}
	}
	ends, err := admin.ListEndOffsets(limit, topic)
	if err != nil {
		return fmt.Errorf("end offsets: %w", err)
	}
	gone, err := admin.DeleteRecords(limit, ends.Offsets())
	if err != nil || gone.Error() != nil {
		return fmt.Errorf("delete records: %v, %w", gone, err)
	}
	starts, err := admin.ListStartOffsets(limit, topic)
	if err != nil {
		return fmt.Errorf("start offsets: %w", err)
	}
	for partition := range int32(3) {
		start, _ := starts.Lookup(topic, partition)
		end, _ := ends.Lookup(topic, partition)
		if start.Offset != end.Offset {
			return fmt.Errorf("partition %d begins at %d where %d was expected", partition, start.Offset, end.Offset)
		}
	}
	return nil
}

func logDirs(bootstrap, topic string) error {
	if err := produceAndConsume(bootstrap, topic); err != nil {
		return err
	}
	made := client(bootstrap)
	defer made.Close()
	all, err := kadm.NewClient(made).DescribeAllLogDirs(limit, nil)
	if err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	for _, directory := range all.Sorted() {
		if directory.Err != nil {
			return fmt.Errorf("%s: %w", directory.Dir, directory.Err)
		}
		if partition, there := directory.Topics.Lookup(topic, 0); there && partition.Size > 0 {
			return nil
		}
	}
	return fmt.Errorf("%s is not among %v", topic, all)
}

// Prints each record of the topic's only partition as it comes; the last one is `end`.
func follow(bootstrap, topic string) error {
	start := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}
	consumer := client(bootstrap, kgo.ConsumePartitions(start))
	defer consumer.Close()
	limit, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for expected := int64(0); ; {
		fetches := consumer.PollFetches(limit)
		if err := limit.Err(); err != nil {
			return fmt.Errorf("after %d records: %w", expected, err)
		}
		for _, record := range fetches.Records() {
			if record.Offset != expected {
				return fmt.Errorf("offset %d where %d was expected", record.Offset, expected)
			}
			expected++
			fmt.Printf("got %s\n", record.Value)
			if string(record.Value) == "end" {
				return nil
			}
		}
	}
}

// TOPIC NAME COUNT: records NAME-0, NAME-1 … with a header `by`.
func send(bootstrap, topic string) error {
	name := os.Args[4]
	count, err := strconv.Atoi(os.Args[5])
	if err != nil {
		return err
	}
	// Of all codecs the one that every client has with it.
	producer := client(bootstrap, kgo.ProducerBatchCompression(kgo.GzipCompression()))
	defer producer.Close()
	var records []*kgo.Record
	for i := range count {
		records = append(records, &kgo.Record{
			Topic: topic, Value: fmt.Appendf(nil, "%s-%d", name, i),
			Headers: []kgo.RecordHeader{{Key: "by", Value: []byte(name)}},
		})
	}
	return producer.ProduceSync(limit, records...).FirstErr()
}

// TOPICS COUNT: prints so many records of these topics' first partitions.
func receive(bootstrap, topics string) error {
	count, err := strconv.Atoi(os.Args[4])
	if err != nil {
		return err
	}
	start := make(map[string]map[int32]kgo.Offset)
	for _, topic := range strings.Split(topics, ",") {
		start[topic] = map[int32]kgo.Offset{0: kgo.NewOffset().AtStart()}
	}
	consumer := client(bootstrap, kgo.ConsumePartitions(start))
	defer consumer.Close()
	for seen := 0; seen < count; {
		fetches := consumer.PollFetches(limit)
		if errs := fetches.Errors(); len(errs) > 0 {
			return fmt.Errorf("after %d records: %v", seen, errs)
		}
		for _, record := range fetches.Records() {
			by := ""
			for _, header := range record.Headers {
				if header.Key == "by" {
					by = string(header.Value)
				}
			}
			fmt.Printf("got %s %s by=%s\n", record.Topic, record.Value, by)
			seen++
		}
	}
	return nil
}

func consume(bootstrap, topic string, count int) ([]*kgo.Record, error) {
	start := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}
	consumer := client(bootstrap, kgo.ConsumePartitions(start))
	defer consumer.Close()
	var got []*kgo.Record
	for len(got) < count {
		fetches := consumer.PollFetches(limit)
		if errs := fetches.Errors(); len(errs) > 0 {
			return nil, fmt.Errorf("after %d records: %v", len(got), errs)
		}
		got = append(got, fetches.Records()...)
	}
	return got, nil
}

// Members of a group take over from each other and read everything between them.
func group(bootstrap, topic string) error {
	const count = 2000
	maker := client(bootstrap)
	defer maker.Close()
	admin := kadm.NewClient(maker)
	if _, err := admin.CreateTopic(limit, 4, 1, nil, topic); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	seen := make(map[string]int)
	member := func() *kgo.Client {
		return client(bootstrap, kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
			kgo.HeartbeatInterval(300*time.Millisecond))
	}
	read := func(from *kgo.Client, until int) error {
		for len(seen) < until {
			fetches := from.PollRecords(limit, 100)
			if err := limit.Err(); err != nil {
				return fmt.Errorf("after %d records: %w", len(seen), err)
			}
			for _, record := range fetches.Records() {
				seen[string(record.Value)]++
			}
			if err := from.CommitUncommittedOffsets(limit); err != nil && !retried(err) {
				return fmt.Errorf("commit: %w", err)
			}
		}
		return nil
	}
	produce := func(first int) error {
		var records []*kgo.Record
		for i := range count {
			records = append(records, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "v%d", first+i)})
		}
		return maker.ProduceSync(limit, records...).FirstErr()
	}
	if err := produce(0); err != nil {
		return err
	}
	one := member()
	if err := read(one, count/2); err != nil {
		return err
	}
	two := member()
	if err := share(one, two, seen); err != nil {
		return err
	}
	one.Close()
	if err := read(two, count); err != nil {
		return err
	}
	two.Close()
	if err := produce(count); err != nil {
		return err
	}
	three := member()
	defer three.Close()
	if err := read(three, 2*count); err != nil {
		return err
	}
	lag, err := admin.Lag(limit, topic)
	if err != nil || lag.Error() != nil || lag[topic].Lag.Total() != 0 || lag[topic].State != "Stable" {
		return fmt.Errorf("lag: %v, %w", lag, err)
	}
	return nil
}

// Polls both until the second has its part.
func share(one, two *kgo.Client, seen map[string]int) error {
	for limit.Err() == nil {
		for _, member := range []*kgo.Client{one, two} {
			brief, done := context.WithTimeout(limit, 100*time.Millisecond)
			for _, record := range member.PollRecords(brief, 1).Records() {
				seen[string(record.Value)]++
			}
			done()
		}
		if _, generation := two.GroupMetadata(); generation > 0 {
			return nil
		}
	}
	return limit.Err()
}

// A rebalance may come between a record and its commit; somebody then reads it again.
func retried(err error) bool {
	return errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration) ||
		errors.Is(err, kerr.UnknownMemberID)
}
