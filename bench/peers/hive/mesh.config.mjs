// Composes the supergraph of the REST upstream for Hive Gateway (mesh-compose).
import { createRequire } from 'node:module';

const load = createRequire(`${process.cwd()}/`);
const { defineConfig } = load('@graphql-mesh/compose-cli');
const { loadJSONSchemaSubgraph } = load('@omnigraph/json-schema');

const text = { type: 'string' };
const id = { type: 'string', nullable: false };
const count = { type: 'integer', nullable: false };
const object = (title, properties, required = []) => ({
  type: 'object',
  title,
  properties,
  required,
});
const texts = (...names) => Object.fromEntries(names.map((name) => [name, text]));
const list = (title, items) => ({ type: 'array', title, items });

const metadata = object('Metadata', {
  version: { type: 'integer' },
  ...texts('createdAt', 'modifiedAt'),
});
const localized = object('Localized', texts('en', 'de'));
const segment = object(
  'Segment',
  {
    ...texts('id', 'name', 'description', 'created_at', 'updated_at', 'membership', 'status'),
    emits_events: { type: 'boolean' },
  },
  ['id'],
);
const emporixSegment = object(
  'EmporixSegment',
  { ...texts('id', 'siteCode', 'status'), name: localized, description: localized, metadata },
  ['id'],
);
const customer = object('Customer', texts('id', 'name', 'email', 'phone'), ['id']);
const assignment = object('Assignment', {
  customer: object('CustomerName', { id: text }, ['id']),
  metadata,
});

const SEGMENTS = '/customer-segment/acme/segments';
const CUSTOMERS = '/customer/acme/customers';
const SIZE = 'pageSize={args.first}';
const query = (field, path, responseSchema, argTypeMap) => ({
  type: 'Query',
  method: 'GET',
  field,
  path,
  responseSchema,
  argTypeMap,
});
const resolved = (field, argument) =>
  `@resolveTo(sourceName: "rest", sourceTypeName: "Query", sourceFieldName: "${field}", ${argument})`;
const CUSTOMER = 'requiredSelectionSet: "{ customer { id } }"';

export const composeConfig = defineConfig({
  subgraphs: [
    {
      sourceHandler: loadJSONSchemaSubgraph('rest', {
        endpoint: process.env.UPSTREAM,
        operations: [
          query('segmentList', '/v1/segments?limit={args.first}', object('SegmentList', { data: list('Segments', segment) }), { first: count }),
          query('segment', '/v1/segments/{args.id}', segment, { id }),
          query('emporixSegments', `${SEGMENTS}?pageNumber={args.page}&${SIZE}`, list('EmporixSegments', emporixSegment), { first: count, page: count }),
          query('members', `${SEGMENTS}/{args.id}/customers?pageNumber=1&${SIZE}`, list('Assignments', assignment), { id, first: count }),
          query('customer', `${CUSTOMERS}/{args.id}`, customer, { id }),
          query('customers', `${CUSTOMERS}?ids={args.ids}`, list('Customers', customer), { ids: { type: 'array', items: text } }),
        ],
      }),
    },
  ],
  additionalTypeDefs: /* GraphQL */ `
    extend type Query {
      greet: String!
    }
    extend type EmporixSegment {
      customers(first: Int!): [Assignment]
        ${resolved('members', 'requiredSelectionSet: "{ id }", sourceArgs: { id: "{root.id}", first: "{args.first}" }')}
    }
    extend type Assignment {
      person: Customer ${resolved('customer', `${CUSTOMER}, sourceArgs: { id: "{root.customer.id}" }`)}
      personBatched: Customer ${resolved('customers', `${CUSTOMER}, keyField: "customer.id", keysArg: "ids"`)}
    }
  `,
});
