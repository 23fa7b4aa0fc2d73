// graphql-ws' own client: cut off after every second event, it goes on from its last cursor.

import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, authorization, body] = process.argv.slice(2);
const { query, variables, count } = JSON.parse(body);

const client = createClient({
  url: url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: { authorization },
  retryAttempts: 0,
});
const seen = [];
let after = variables.after;
while (seen.length < count) {
  const cut = seen.length + 2;
  try {
    for await (const { data, errors } of client.iterate({ query, variables: { after } })) {
      if (errors) throw errors;
      seen.push(data.changed.segmentId);
      after = data.changed.cursor;
      if (seen.length >= count) break;
      if (seen.length === cut) client.terminate();
    }
  } catch (closed) {
    if (closed.code !== 4499) throw closed;
  }
}
console.log(JSON.stringify(seen));
await client.dispose();
