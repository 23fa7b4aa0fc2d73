import { Link } from 'wouter';

export function NotFound() {
  return (
    <section className="page">
      <h1>There is no such page</h1>
      <p>
        <Link href="/">Go to the overview</Link>, or see the <Link href="/segments">segments</Link>.
      </p>
    </section>
  );
}
