/** A client of graphql-ws or graphql-sse. */
interface Subscribing {
  // Parameters of any type: those of the two clients differ.
  subscribe(...given: never[]): () => void;
}

/** Return the client with subscriptions that resume from their last cursor, `delayMs` (1000) after they were cut off. */
export function resuming<Client extends Subscribing>(client: Client, delayMs?: number): Client;
