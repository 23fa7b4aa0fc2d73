import type { UserErrorCode } from "./gql/graphql";

/** After these errors the outcome is unknown, or nothing was sent: the change is repeated under the same key. */
const UNSETTLED: UserErrorCode[] = ["PROVIDER_FAILED", "STORE_UNAVAILABLE"];

/** Return the idempotency key of a change: the same one until the change is settled, also after a reload. */
export function keyOf(change: string): string {
  const key = sessionStorage.getItem(change) ?? crypto.randomUUID();
  sessionStorage.setItem(change, key);
  return key;
}

/** Drop the key of a change whose outcome is known: if it is made again later, it needs a new key. */
export function settle(change: string, userErrors: { code: UserErrorCode }[]): void {
  if (!userErrors.some(({ code }) => UNSETTLED.includes(code))) sessionStorage.removeItem(change);
}
