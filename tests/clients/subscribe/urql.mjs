// urql, over graphql-ws.

import { Client, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { resuming } from "../../../docs/clients/resuming.mjs";
import { show } from "./show.mjs";

const [url, authorization, body] = process.argv.slice(2);
const { query, variables } = JSON.parse(body);

const socket = resuming(
  createClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
    retryAttempts: 0,
  }),
  50,
);
const client = new Client({
  url,
  exchanges: [
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe(request, sink) }),
      }),
    }),
  ],
});
client
  .subscription(query, variables)
  .subscribe(({ data, error }) => show.next({ data, errors: error }));
