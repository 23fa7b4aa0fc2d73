// graphql-sse's own client, a connection for each operation.

import { createClient } from "graphql-sse";
import { resuming } from "../../../docs/clients/resuming.mjs";
import { show } from "./show.mjs";

const [url, authorization, body] = process.argv.slice(2);

const client = resuming(createClient({ url, headers: { authorization }, retryAttempts: 0 }), 50);
client.subscribe(JSON.parse(body), show);
