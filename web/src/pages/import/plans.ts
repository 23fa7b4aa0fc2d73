import type { AnyVariables, Client, DocumentInput } from '@urql/core';
import {
  ImportAssignmentsDocument,
  ImportRemovalsDocument,
  ImportReplacementsDocument,
  SegmentByExternalIdDocument,
} from '../generated';
import { parseJson, RoundedNumber, type Row } from './rows';
import { type GraphQLProblem, SendingFailed } from './send';

// This is gateway/cli/transfer/plans.py: the page and the command send the same mutations with the same keys.

/** Rows that are planned together. */
export const CHUNK = 500;
/** Mutations of one operation: the default of `limits.root_fields`. */
const ALIASES = 20;

/** What came of a row. */
export interface Outcome {
  row: Row;
  outcome: string;
  reason: string;
}

const DONE = new Set(['VALID', 'CREATED', 'UPDATED', 'DELETED', 'DISCARDED_DUPLICATE']);

export function isDone({ outcome }: Outcome): boolean {
  return DONE.has(outcome);
}

/** An operation to send, and how to read its reply. */
export interface Operation {
  document: DocumentInput<unknown, AnyVariables>;
  variables: Record<string, unknown>;
  outcomes(data: Record<string, Payload | null>, errors: readonly GraphQLProblem[]): readonly Outcome[];
}

interface Payload {
  userErrors: readonly { message: string }[];
  results?: readonly { index: number; outcome: string; userErrors: readonly { message: string }[] }[];
}

/** How the rows of a kind of file become mutations. */
export interface Plan {
  /** Why a row cannot be sent; null if it can. */
  problem(row: Row): Promise<string | null> | string | null;
  /** What to send for a chunk of rows, in order; `key` is unique to the chunk. */
  operations(rows: readonly Row[], key: string): Iterable<Operation>;
  /** Whether two neighbours must be in one chunk. */
  belongTogether?(one: Row, other: Row): boolean;
}

/** Assignments at Emporix: columns `segment`, `customer`, and optionally `legalEntity` and `action`. */
export class Assignments implements Plan {
  #segments = new Map<string, string | null>();

  constructor(
    private readonly client: Client,
    private readonly provider: string,
  ) {}

  async problem({ values }: Row): Promise<string | null> {
    const missing = ['segment', 'customer'].find((name) => !values.has(name));
    if (missing) return `has no ${missing}`;
    if (!['add', 'remove'].includes(text(values, 'action', 'add'))) return 'action must be add or remove';
    return (await this.#segmentId(text(values, 'segment'))) === null ? `there is no segment ${text(values, 'segment')}` : null;
  }

  async #segmentId(named: string): Promise<string | null> {
    const known = this.#segments.get(named);
    if (known !== undefined) return known;
    const id = isGlobalId(named, 's') ? named : await this.#read(named);
    this.#segments.set(named, id);
    return id;
  }

  async #read(externalId: string): Promise<string | null> {
    const filter = { providers: [this.provider], externalId };
    const { data, error } = await this.client.query(SegmentByExternalIdDocument, { filter }).toPromise();
    const problem = data?.segments.sources.find((source) => source.error)?.error ?? error?.graphQLErrors[0];
    if (problem || !data) throw new SendingFailed(problem?.message ?? 'The gateway cannot be reached.');
    return data.segments.nodes[0]?.id ?? null;
  }

  /** A bulk mutation for each segment and action; opposite actions keep their order. */
  *operations(rows: readonly Row[], key: string): Iterable<Operation> {
    const groups = new Map<string, Row[]>();
    let number = 0;
    for (const row of rows) {
      const segment = this.#segments.get(text(row.values, 'segment')) ?? '';
      const action = text(row.values, 'action', 'add');
      const opposite = `${action === 'add' ? 'remove' : 'add'} ${segment}`;
      const before = groups.get(opposite);
      if (before) {
        groups.delete(opposite);
        yield this.#operation(opposite, before, `${key}.${number++}`);
      }
      const group = `${action} ${segment}`;
      groups.set(group, [...(groups.get(group) ?? []), row]);
    }
    for (const [group, members] of groups) yield this.#operation(group, members, `${key}.${number++}`);
  }

  #operation(group: string, rows: readonly Row[], idempotencyKey: string): Operation {
    const [action, segmentId] = group.split(' ');
    const assignments = rows.map(({ values }) => ({
      ...customerOf(this.provider, text(values, 'customer')),
      ...(values.has('legalEntity') && { legalEntityId: text(values, 'legalEntity') }),
    }));
    return {
      document: action === 'add' ? ImportAssignmentsDocument : ImportRemovalsDocument,
      variables: { input: { idempotencyKey, segmentId, assignments } },
      outcomes: (data, errors) => outcomesOf(rows, data['rows'], errors),
    };
  }
}

/** Segments at Instaleap: columns `customer`, `type`, `value`; a customer's rows replace what was there. */
export class Replacements implements Plan {
  #seen = new Set<string>();
  #last = '';

  constructor(private readonly provider: string) {}

  problem({ values }: Row): string | null {
    const missing = ['customer', 'type', 'value'].find((name) => !values.has(name));
    if (missing) return `has no ${missing}`;
    const customer = text(values, 'customer');
    if (customer !== this.#last && this.#seen.has(customer)) {
      return `rows of customer ${customer} must stand together: sort the file by customer`;
    }
    this.#last = customer;
    this.#seen.add(customer);
    return null;
  }

  belongTogether(one: Row, other: Row): boolean {
    return one.values.get('customer') === other.values.get('customer');
  }

  *operations(rows: readonly Row[], idempotencyKey: string): Iterable<Operation> {
    const byCustomer = new Map<string, Row[]>();
    for (const row of rows) {
      const customer = text(row.values, 'customer');
      byCustomer.set(customer, [...(byCustomer.get(customer) ?? []), row]);
    }
    const groups = [...byCustomer];
    const customers = groups.map(([externalId, members]) => ({
      externalId,
      segments: members.map(({ values }) => ({ type: text(values, 'type'), value: text(values, 'value') })),
    }));
    yield {
      document: ImportReplacementsDocument,
      variables: { input: { idempotencyKey, provider: this.provider, customers } },
      outcomes: (data, errors) => {
        const heads = groups.map(([, [first]]) => first!);
        return outcomesOf(heads, data['rows'], errors).flatMap(({ outcome, reason }, index) =>
          groups[index]![1].map((row) => ({ row, outcome, reason })),
        );
      },
    };
  }
}

/** Attributes: column `customer`, and one for each path of an attribute; an empty cell changes nothing. */
export class Attributes implements Plan {
  constructor(private readonly provider: string) {}

  problem({ values }: Row): string | null {
    if (!values.has('customer')) return 'has no customer';
    if (values.size === 1) return 'has no attribute';
    for (const name of values.keys()) {
      for (let end = name.lastIndexOf('.'); end > 0; end = name.lastIndexOf('.', end - 1)) {
        if (values.has(name.slice(0, end))) return `${name.slice(0, end)} and ${name} cannot both be set`;
      }
    }
    try {
      nested(values);
    } catch (error) {
      if (error instanceof RoundedNumber) return error.message;
      throw error;
    }
    return null;
  }

  /** Operations of up to 20 mutations, one for each row. */
  *operations(rows: readonly Row[], key: string): Iterable<Operation> {
    for (let start = 0; start < rows.length; start += ALIASES) {
      const part = rows.slice(start, start + ALIASES);
      const declared = part.map((_, n) => `$i${n}: CustomerAttributesUpdateInput!`).join(', ');
      const fields = part.map((_, n) => `r${n}: customerAttributesUpdate(input: $i${n}) { userErrors { message } }`).join(' ');
      const inputs = part.map(({ values }, n): [string, object] => [
        `i${n}`,
        {
          idempotencyKey: `${key}.${start + n}`,
          ...customerOf(this.provider, text(values, 'customer')),
          attributes: nested(values),
        },
      ]);
      yield {
        document: `mutation ImportAttributes(${declared}) { ${fields} }`,
        variables: Object.fromEntries(inputs),
        outcomes: (data, errors) =>
          part.map((row, n) => {
            const payload = data[`r${n}`];
            if (payload) return outcomeOf(row, payload.userErrors.length ? 'FAILED' : 'UPDATED', payload.userErrors);
            const problem = errors.find(({ path }) => path?.[0] === `r${n}`) ?? errors.find(({ path }) => !path);
            return { row, outcome: 'FAILED', reason: problem?.message ?? 'no answer' };
          }),
      };
    }
  }
}

function text(values: ReadonlyMap<string, unknown>, name: string, missing = ''): string {
  return String(values.get(name) ?? missing);
}

/** The input that names a customer, by the provider's own id or by ours. */
function customerOf(provider: string, named: string) {
  return isGlobalId(named, 'c') ? { customerId: named } : { identity: { provider, externalId: named } };
}

function isGlobalId(named: string, letter: 's' | 'c'): boolean {
  try {
    const parts: unknown = JSON.parse(atob(named.replaceAll('-', '+').replaceAll('_', '/')));
    return Array.isArray(parts) && parts[0] === letter;
  } catch {
    return false;
  }
}

/** Return attributes by their dotted paths as nested objects; a cell that is JSON is that value. */
function nested(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [path, value] of values) {
    if (path === 'customer') continue;
    const parents = path.split('.');
    const name = parents.pop()!;
    let inner = result;
    for (const parent of parents) inner = (inner[parent] ??= {}) as Record<string, unknown>;
    inner[name] = typeof value === 'string' ? parsed(value) : value;
  }
  return result;
}

function parsed(cell: string): unknown {
  try {
    return parseJson(cell);
  } catch (error) {
    if (error instanceof RoundedNumber) throw error;
    return cell;
  }
}

function outcomesOf(rows: readonly Row[], payload: Payload | null | undefined, errors: readonly GraphQLProblem[]): readonly Outcome[] {
  if (!payload?.results?.length) {
    const reason = errors[0]?.message ?? payload?.userErrors[0]?.message ?? 'no answer';
    return rows.map((row) => ({ row, outcome: 'FAILED', reason }));
  }
  const results = new Map(payload.results.map((each) => [each.index, each]));
  return rows.map((row, index) => {
    const result = results.get(index);
    return outcomeOf(row, result?.outcome ?? 'UNKNOWN', result?.userErrors ?? []);
  });
}

function outcomeOf(row: Row, outcome: string, errors: readonly { message: string }[]): Outcome {
  return { row, outcome, reason: errors.map(({ message }) => message).join('; ') };
}
