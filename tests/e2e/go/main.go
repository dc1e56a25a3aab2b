// One case of franz-go per call: `franz BOOTSTRAP CASE TOPIC`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	ends, err := admin.ListEndOffsets(limit, topic)
	if err != nil || ends.Error() != nil || len(ends[topic]) != 3 {
		return fmt.Errorf("end offsets: %v, %w", ends, err)
	}
	if _, err := admin.DeleteTopic(limit, topic); err != nil {
		return fmt.Errorf("delete: %w", err)
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
