import type { AnyVariables, Client, DocumentInput } from '@urql/core';

const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 500;
/** Codes after which no further row can succeed. */
const HOPELESS = new Set(['UNAUTHENTICATED', 'FORBIDDEN']);

/** Nothing more can be sent at the moment; the message says why. */
export class SendingFailed extends Error {}

export interface GraphQLProblem {
  readonly message: string;
  readonly path?: readonly (string | number)[] | undefined;
}

export interface Reply<Data> {
  data: Data | undefined;
  errors: readonly GraphQLProblem[];
}

/** Send a mutation, again where that may help; it is safe with an idempotency key. Throws `SendingFailed`. */
export async function send<Data>(
  client: Client,
  document: DocumentInput<Data, AnyVariables>,
  variables: Record<string, unknown>,
): Promise<Reply<Data>> {
  let pause = FIRST_PAUSE_MS;
  for (let attempt = 1; ; attempt += 1) {
    const { data, error } = await client.mutation(document, variables).toPromise();
    const errors = error?.graphQLErrors ?? [];
    const hopeless = errors.find(({ extensions }) => HOPELESS.has(String(extensions['code'])));
    if (hopeless) throw new SendingFailed(hopeless.message);
    const response: Response | undefined = error?.response;
    const isRefused = response?.status === 429 || errors.some(({ extensions }) => extensions['retryable'] === true);
    if (!error?.networkError && (!isRefused || attempt === ATTEMPTS)) return { data, errors };
    if (attempt === ATTEMPTS) throw new SendingFailed('The gateway cannot be reached.');
    const seconds = Number(response?.headers.get('retry-after'));
    await new Promise((resolve) => setTimeout(resolve, seconds > 0 ? seconds * 1000 : pause));
    pause *= 2;
  }
}
