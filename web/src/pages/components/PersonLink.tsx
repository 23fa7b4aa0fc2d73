import type { ReactNode } from 'react';
import { Link } from 'wouter';

/** A link to the person that a customer is, by the customer's id. */
export function PersonLink({ id, children }: { id: string; children: ReactNode }) {
  return <Link href={`/person?id=${encodeURIComponent(id)}`}>{children}</Link>;
}
