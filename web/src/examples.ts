/** A query that runs as it is, written by the gateway for its own configuration. */
export interface Example {
  name: string;
  query: string;
  variables: Record<string, unknown> | null;
  headers: Record<string, string> | null;
}

const FALLBACK: Example = {
  name: 'Providers',
  query: '{ providers { key kind displayName } }',
  variables: null,
  headers: null,
};

/** Load the gateway's examples, at least one; without an answer, a query that every gateway can run. */
export async function loadExamples(): Promise<[Example, ...Example[]]> {
  try {
    const reply = await fetch('/examples.json');
    const [first, ...others] = (await reply.json()) as Example[];
    return first ? [first, ...others] : [FALLBACK];
  } catch {
    return [FALLBACK];
  }
}

/** Write an example as the text of GraphiQL's three editors; null is an empty editor. */
export function asTab({ query, variables, headers }: Example) {
  return { query, variables: asText(variables), headers: asText(headers) };
}

function asText(values: object | null): string | null {
  return values && JSON.stringify(values, null, 2);
}
