// Composes this subgraph with one of orders, and queries both through Apollo's gateway.
//
// It prints what @apollo/composition says, also about a second `Query.node`, and the response to the
// query of the standard input.

import { readFileSync } from "node:fs";
import { composeServices } from "@apollo/composition";
import { ApolloGateway, LocalGraphQLDataSource, RemoteGraphQLDataSource } from "@apollo/gateway";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { parse } from "graphql";

const [url, authorization] = process.argv.slice(2);
const { query, variables } = JSON.parse(readFileSync(0, "utf8"));

const typeDefs = parse(readFileSync(new URL("orders.graphql", import.meta.url), "utf8"));
const orders = ({ id }) => ({
  nodes: [{ number: `of ${id}`, customer: { id } }],
  pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
});
const resolvers = {
  Query: { orders: (_, { customerIds }) => customerIds.map((id) => orders({ id }).nodes[0]) },
  Customer: { orders },
};

const answer = await fetch(url, {
  method: "POST",
  headers: { authorization, "content-type": "application/json" },
  body: JSON.stringify({ query: "{ _service { sdl } }" }),
});
const { data } = await answer.json();
const segments = { name: "segments", url, typeDefs: parse(data._service.sdl) };
const { errors, hints, supergraphSdl } = composeServices([
  segments,
  { name: "orders", url: "http://orders.invalid", typeDefs },
]);
const second = parse("interface Node { id: ID! } type Query { node(id: ID!): Node }");
const refused = composeServices([
  segments,
  { name: "second", url: "http://second.invalid", typeDefs: second },
]);

class Segments extends RemoteGraphQLDataSource {
  willSendRequest({ request }) {
    request.http.headers.set("authorization", authorization);
  }
}

let response = null;
if (!errors) {
  const gateway = new ApolloGateway({
    supergraphSdl,
    logger: { debug() {}, info() {}, warn: console.error, error: console.error },
    buildService: ({ name }) =>
      name === "orders"
        ? new LocalGraphQLDataSource(buildSubgraphSchema({ typeDefs, resolvers }))
        : new Segments({ url }),
  });
  const { executor } = await gateway.load();
  response = await executor({
    document: parse(query),
    queryHash: "1",
    request: { query, variables },
    context: {},
    metrics: {},
  });
  await gateway.stop();
}
console.log(
  JSON.stringify({
    errors: (errors ?? []).map(String),
    hints: (hints ?? []).map((hint) => hint.definition.code),
    ofASecondNode: refused.errors.map((error) => error.extensions.code),
    response,
  }),
);
