import type { PersonQuery, PersonQueryVariables, SegmentNameFragment } from "./gql/graphql";

export type Person = NonNullable<PersonQuery["person"]>;

/** Read what was typed: an email address, or a provider and one of its keys, as in `voucherify:crm-00001`. */
export function personNamedBy(text: string): PersonQueryVariables {
  const colon = text.indexOf(":");
  if (colon < 0) return { email: text };
  return { identity: { provider: text.slice(0, colon), externalId: text.slice(colon + 1) } };
}

/** Return the providers that failed, each with a reason; one that cannot look persons up has not failed. */
export function failuresOf({ segments, sources }: Person): Map<string, string> {
  const failed = new Map<string, string>();
  for (const { provider, error } of [...sources, ...(segments?.sources ?? [])]) {
    if (error && error.code !== "UNSUPPORTED") failed.set(provider.displayName, error.message);
  }
  return failed;
}

/** Return the query's data with one more segment, if it is of the person who has this customer. */
export function withSegment(
  data: PersonQuery | null,
  customerId: string | null | undefined,
  segment: SegmentNameFragment,
): PersonQuery | null {
  const person = data?.person;
  if (!person?.segments || !person.customers.some(({ id }) => id === customerId)) return data;
  const { nodes } = person.segments;
  if (nodes.some(({ id }) => id === segment.id)) return data;
  return { ...data, person: { ...person, segments: { ...person.segments, nodes: [...nodes, segment] } } };
}
