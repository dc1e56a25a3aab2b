// MQTT.js: node pair.js URL TOPIC COUNT [OPTIONS in JSON]
// Subscribes, publishes COUNT messages of different sizes with each QoS, and prints what comes back, a line each:
// QOS LENGTH PAYLOAD's beginning. Ends with status 0 when all have come.
const mqtt = require('mqtt');
const fs = require('fs');

const [url, topic, count, more] = process.argv.slice(2);
const options = { reconnectPeriod: 0, connectTimeout: 15000, protocolVersion: 5, ...JSON.parse(more || '{}') };
for (const file of ['ca', 'cert', 'key']) {
  if (options[file]) options[file] = fs.readFileSync(options[file]);
}
const client = mqtt.connect(url, options);
let left = 3 * Number(count);

function fail(why) {
  console.error(String(why));
  process.exit(1);
}

client.on('error', fail);
client.on('close', () => { if (left > 0) fail('the connection was closed'); });
client.on('message', (_topic, payload, packet) => {
  console.log(`${packet.qos} ${payload.length} ${payload.subarray(0, 8)}`);
  left -= 1;
  if (left === 0) client.end(false, () => process.exit(0));
});
client.on('connect', () => {
  client.subscribe(topic, { qos: 2 }, (error) => {
    if (error) fail(error);
    console.log('subscribed');
    for (let i = 0; i < Number(count); i += 1) {
      for (const qos of [0, 1, 2]) client.publish(topic, `${i} `.padEnd(8 + i * i * 40, 'x'), { qos });
    }
  });
});
