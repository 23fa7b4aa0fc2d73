// The resolvers of the Node peers: dataloader per request, undici below, 100 connections.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

// Packages stand in the folder that the benchmark installed them into.
export const load = createRequire(`${process.env.BENCH_INSTALLED}/`);
const { Agent, fetch, request } = load('undici');
const DataLoader = load('dataloader');

export const port = Number(process.env.PORT);
export const typeDefs = readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8');

const dispatcher = new Agent({ connections: 100, keepAliveTimeout: 60_000 });
const origin = process.env.UPSTREAM;

async function byFetch(path) {
  const answer = await fetch(origin + path, { dispatcher });
  if (!answer.ok) throw new Error(`upstream ${answer.status}`);
  return answer.json();
}

async function byRequest(path) {
  const { statusCode, body } = await request(origin + path, { dispatcher });
  if (statusCode !== 200) throw new Error(`upstream ${statusCode}`);
  return body.json();
}

const get = process.env.CLIENT === 'request' ? byRequest : byFetch;
const SEGMENTS = '/customer-segment/acme/segments';
const CUSTOMERS = '/customer/acme/customers';
const page = (size, number = 1) => `pageNumber=${number}&pageSize=${size}`;

const voucherify = async (first) => (await get(`/v1/segments?limit=${first}`)).data;
const emporix = (first, number) => get(`${SEGMENTS}?${page(first, number)}`);

async function together(ids) {
  const rows = await get(`${CUSTOMERS}?ids=${ids.join(',')}`);
  const known = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => known.get(id) ?? null);
}

export const context = () => ({
  single: new DataLoader((ids) => Promise.all(ids.map((id) => get(`${CUSTOMERS}/${id}`)))),
  batched: new DataLoader(together),
});

export const resolvers = {
  Query: {
    greet: () => 'hello',
    segments: (_, { first }) => voucherify(first),
    segment: (_, { id }) => get(`/v1/segments/${id}`),
    emporixSegments: (_, { first, page: number }) => emporix(first, number),
    merged: async () => {
      const [ours, theirs] = await Promise.all([voucherify(100), emporix(100, 1)]);
      return [
        ...ours.map((row) => ({
          ...row,
          provider: 'voucherify',
          createdAt: row.created_at,
          updatedAt: row.updated_at,
        })),
        ...theirs.map((row) => ({
          ...row,
          provider: 'emporix',
          name: row.name.en,
          description: row.description.en,
          createdAt: row.metadata.createdAt,
          updatedAt: row.metadata.modifiedAt,
        })),
      ];
    },
  },
  EmporixSegment: {
    customers: (segment, { first }) => get(`${SEGMENTS}/${segment.id}/customers?${page(first)}`),
  },
  Assignment: {
    person: (row, _, { single }) => single.load(row.customer.id),
    personBatched: (row, _, { batched }) => batched.load(row.customer.id),
  },
};
