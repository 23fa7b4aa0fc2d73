import { createClient } from "graphql-ws";
import {
  Environment,
  type FetchFunction,
  type GraphQLResponse,
  Network,
  Observable,
  RecordSource,
  Store,
  type SubscribeFunction,
} from "relay-runtime";
import { resuming } from "../../../docs/clients/resuming.mjs";

const url: string = import.meta.env.VITE_GATEWAY_URL ?? "http://127.0.0.1:8000/graphql";

const fetchQuery: FetchFunction = async ({ text }, variables) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: text, variables }),
  });
  return (await response.json()) as GraphQLResponse;
};

// A WebSocket. `resuming` reconnects from the cursor of the last change; graphql-ws itself would begin anew.
const socket = resuming(createClient({ url: url.replace(/^http/, "ws"), retryAttempts: 0 }));

const subscribe: SubscribeFunction = ({ text }, variables) =>
  Observable.create((sink) =>
    socket.subscribe(
      { query: text ?? "", variables },
      { ...sink, next: (result) => sink.next(result as GraphQLResponse) },
    ),
  );

export const environment = new Environment({
  network: Network.create(fetchQuery, subscribe),
  store: new Store(new RecordSource()),
});
