// Relay's network layer reads a list page by page.

import relay from "relay-runtime";

const [url, authorization] = process.argv.slice(2);

async function fetchQuery({ text }, variables) {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ query: text, variables }),
  });
  return response.json();
}

const network = relay.Network.create(fetchQuery);
// As Relay's compiler writes it for `segments(…) @connection(key: "List_segments")`.
const page = {
  operationKind: "query",
  name: "ListPaginationQuery",
  text: `query ListPaginationQuery($after: String) {
    segments(first: 3, after: $after, sortKey: NAME, filter: { providers: ["stuut"] }) {
      edges { cursor node { id name __typename } }
      pageInfo { endCursor hasNextPage hasPreviousPage startCursor }
    }
  }`,
};

const all = [];
let after = null;
do {
  const { data } = await network.execute(page, { after }, {}).toPromise();
  all.push(...data.segments.edges.map(({ node }) => node.id));
  const { endCursor, hasNextPage } = data.segments.pageInfo;
  after = hasNextPage ? endCursor : null;
} while (after);
console.log(JSON.stringify({ all: all.length, distinct: new Set(all).size }));
