// Relay's network layer, over graphql-ws.

import { createClient } from "graphql-ws";
import relay from "relay-runtime";
import WebSocket from "ws";
import { resuming } from "../../../docs/clients/resuming.mjs";
import { show } from "./show.mjs";

const [url, authorization, body] = process.argv.slice(2);
const { query, variables } = JSON.parse(body);
const { Network, Observable } = relay;

const socket = resuming(
  createClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
    retryAttempts: 0,
  }),
  50,
);
const network = Network.create(
  () => Observable.from(Promise.reject(new Error("no query is sent here"))),
  ({ text }, variables) =>
    Observable.create((sink) => socket.subscribe({ query: text, variables }, sink)),
);
// As Relay's compiler would describe the operation.
const operation = { operationKind: "subscription", name: "Follow", text: query };
network.execute(operation, variables, {}).subscribe(show);
