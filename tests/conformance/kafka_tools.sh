# Kafka's own tools against the broker at $AT. One `try NAME COMMAND` is one case; sourced nowhere, run by suites.py.
# Cases build on each other's topic, so their order matters.
set -uo pipefail
at="--bootstrap-server $AT"
topic=tools$$
rm -rf "$LOGS"
mkdir -p "$LOGS"

try() {
  local name=$1
  shift
  [[ " $SKIP " = *" $name "* ]] && return
  if timeout 90 bash -c "set -o pipefail; $*" >"$LOGS/$name" 2>&1 </dev/null; then
    echo "pass $name"
  else
    echo "fail $name $(grep -v '^\s*at ' "$LOGS/$name" | tail -n 1 | cut -c1-150)"
  fi
}

try api-versions "$TOOL broker-api-versions $at | grep -q 'Produce(0)'"
try topic-create "$TOOL topics $at --create --topic $topic --partitions 3 --replication-factor 1 --config retention.ms=600000"
try topic-create-again "! $TOOL topics $at --create --topic $topic --partitions 3"
try topic-list "$TOOL topics $at --list | grep -qx $topic"
try topic-describe "$TOOL topics $at --describe --topic $topic | grep -q 'PartitionCount: 3'"
try config-describe "$TOOL configs $at --entity-type topics --entity-name $topic --describe | grep -q retention.ms=600000"
try produce "seq 1 1000 | $TOOL console-producer $at --topic $topic --request-required-acks all"
for codec in gzip snappy lz4 zstd; do
  try produce-$codec "seq 1 500 | $TOOL console-producer $at --topic $topic --compression-codec $codec"
done
for partition in 0 1 2; do
  # By assignment; the end is where nothing comes for 3 s.
  try consume-partition-$partition "$TOOL console-consumer $at --topic $topic --partition $partition --offset earliest \
    --timeout-ms 3000 >$LOGS/read-$partition; test -s $LOGS/read-$partition || grep -q 'Processed a total of 0' $LOGS/consume-partition-$partition"
done
try consume-all-partitions "test \$(cat $LOGS/read-0 $LOGS/read-1 $LOGS/read-2 | grep -cE '^[0-9]+\$') = 3000"
try get-offsets "$TOOL get-offsets $at --topic $topic --time -1 | awk -F: '{s += \$3} END {exit s != 3000}'"
try get-offsets-earliest "$TOOL get-offsets $at --topic $topic --time -2 | awk -F: '{s += \$3} END {exit s != 0}'"
try get-offsets-max-timestamp "$TOOL get-offsets $at --topic $topic --time -3 | grep -q $topic:"
try producer-perf "$TOOL producer-perf-test --topic $topic --num-records 50000 --record-size 200 --throughput -1 \
  --producer-props bootstrap.servers=$AT acks=all enable.idempotence=true | grep -q '50000 records sent'"
try verifiable-producer "$TOOL verifiable-producer $at --topic $topic --max-messages 5000 --acks -1 | tail -n 1 | grep -q '\"acked\":5000'"
try cluster-id "$TOOL cluster cluster-id $at"
try e2e-latency "$TOOL e2e-latency --bootstrap-server $AT --topic $topic-e --num-records 500 --producer-acks all --record-size 100"

try topic-add-partitions "$TOOL topics $at --alter --topic $topic --partitions 6"
try config-alter "$TOOL configs $at --entity-type topics --entity-name $topic --alter --add-config max.message.bytes=2000000 &&
  $TOOL configs $at --entity-type topics --entity-name $topic --describe | grep -q max.message.bytes=2000000"
try delete-records "echo '{\"partitions\":[{\"topic\":\"$topic\",\"partition\":0,\"offset\":10}],\"version\":1}' >$LOGS/records.json;
  $TOOL delete-records $at --offset-json-file $LOGS/records.json && $TOOL get-offsets $at --topic $topic --time -2 | grep -q :0:10"
try compacted-topic "$TOOL topics $at --create --topic $topic-c --partitions 1 --config cleanup.policy=compact"
try log-dirs "$TOOL log-dirs $at --describe --topic-list $topic"
try features "$TOOL features $at describe | grep -q metadata.version"

try consumer-perf "$TOOL consumer-perf-test $at --topic $topic --messages 50000 --timeout 30000"
for protocol in classic consumer; do
  try verifiable-consumer-$protocol "$TOOL verifiable-consumer $at --topic $topic --group-id v-$protocol-$$ \
    --group-protocol $protocol --max-messages 5000 --reset-policy earliest | grep -q records_consumed"
  try group-console-$protocol "test \$($TOOL console-consumer $at --topic $topic --group h-$protocol-$$ \
    --consumer-property group.protocol=$protocol --consumer-property auto.offset.reset=earliest --max-messages 3000 \
    --timeout-ms 30000 | wc -l) -ge 3000"
  try group-describe-$protocol "$TOOL consumer-groups $at --describe --group h-$protocol-$$ | grep -q $topic"
  try group-reset-$protocol "$TOOL consumer-groups $at --group h-$protocol-$$ --topic $topic --reset-offsets --to-earliest --execute"
  try group-delete-$protocol "$TOOL consumer-groups $at --group h-$protocol-$$ --delete"
done
try groups-list "$TOOL groups $at --list"
try share-group "$TOOL configs $at --alter --entity-type groups --entity-name s$$ --add-config share.auto.offset.reset=earliest;
  test \$($TOOL console-share-consumer $at --topic $topic --group s$$ --max-messages 1000 --timeout-ms 30000 | wc -l) -ge 1000"

try transactional-perf "$TOOL producer-perf-test --topic $topic --num-records 20000 --record-size 200 --throughput -1 \
  --transactional-id tx$$ --transaction-duration-ms 300 --producer-props bootstrap.servers=$AT | grep -q '20000 records sent'"
try transactions-list "$TOOL transactions $at list | grep -q tx$$"
try read-committed "test \$($TOOL console-consumer $at --topic $topic --from-beginning --isolation-level read_committed \
  --max-messages 70000 --timeout-ms 30000 | wc -l) = 70000"

try acls "$TOOL acls $at --add --allow-principal User:zed --operation Read --topic $topic && $TOOL acls $at --list --topic $topic | grep -q zed"
try scram "$TOOL configs $at --alter --add-config 'SCRAM-SHA-256=[iterations=4096,password=s]' --entity-type users --entity-name u$$"
try quotas "$TOOL configs $at --alter --add-config producer_byte_rate=1048576 --entity-type clients --entity-name c$$"

try topic-delete "$TOOL topics $at --delete --topic $topic && sleep 2 && ! $TOOL topics $at --describe --topic $topic"
