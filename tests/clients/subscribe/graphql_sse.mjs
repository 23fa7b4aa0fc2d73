// graphql-sse's own client, a connection for each operation: cut off after every second event, it
// goes on from its last cursor.

import { createClient } from "graphql-sse";

const [url, authorization, body] = process.argv.slice(2);
const { query, variables, count } = JSON.parse(body);

const seen = [];
let after = variables.after;
while (seen.length < count) {
  const client = createClient({ url, headers: { authorization }, retryAttempts: 0 });
  const cut = seen.length + 2;
  for await (const { data, errors } of client.iterate({ query, variables: { after } })) {
    if (errors) throw errors;
    seen.push(data.changed.segmentId);
    after = data.changed.cursor;
    if (seen.length === cut || seen.length >= count) break;
  }
  client.dispose();
}
console.log(JSON.stringify(seen));
