// graphql-ws' own client.

import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { resuming } from "../../../docs/clients/resuming.mjs";
import { show } from "./show.mjs";

const [url, authorization, body] = process.argv.slice(2);

const client = resuming(
  createClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
    retryAttempts: 0,
  }),
  50,
);
client.subscribe(JSON.parse(body), show);
