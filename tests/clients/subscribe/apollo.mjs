// Apollo Client, over graphql-ws.

import { ApolloClient, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { resuming } from "../../../docs/clients/resuming.mjs";
import { show } from "./show.mjs";

const [url, authorization, body] = process.argv.slice(2);
const { query, variables } = JSON.parse(body);

const socket = createClient({
  url: url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: { authorization },
  retryAttempts: 0,
});
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: new GraphQLWsLink(resuming(socket, 50)),
});
client
  .subscribe({ query: gql(query), variables, fetchPolicy: "no-cache" })
  .subscribe({ ...show, next: ({ data, error }) => show.next({ data, errors: error }) });
