// MQTT.js: node each.js URL send TOPIC NAME COUNT | node each.js URL receive FILTER COUNT
// Sends NAME-0, NAME-1 … with QoS 1 and the user property `by`, or prints so many messages: got TOPIC PAYLOAD by=NAME.
const mqtt = require('mqtt');

const [url, what, topic, ...more] = process.argv.slice(2);
const count = Number(more[more.length - 1]);
const client = mqtt.connect(url, { reconnectPeriod: 0, connectTimeout: 15000, protocolVersion: 5 });
let left = count;

function fail(why) {
  console.error(String(why));
  process.exit(1);
}

function one() {
  left -= 1;
  if (left === 0) client.end(false, () => { console.log('done'); process.exit(0); });
}

client.on('error', fail);
client.on('close', () => { if (left > 0) fail('the connection was closed'); });
client.on('connect', () => {
  if (what === 'receive') {
    client.subscribe(topic, { qos: 1 }, (error) => { if (error) fail(error); console.log('subscribed'); });
    return;
  }
  for (let i = 0; i < count; i += 1) {
    client.publish(topic, `${more[0]}-${i}`, { qos: 1, properties: { userProperties: { by: more[0] } } },
      (error) => { if (error) fail(error); one(); });
  }
});
client.on('message', (from, payload, packet) => {
  console.log(`got ${from} ${payload} by=${packet.properties.userProperties.by}`);
  one();
});
