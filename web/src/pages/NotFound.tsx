import { Link } from 'wouter';
import { PageTitle } from './components/PageTitle';

export function NotFound() {
  return (
    <section className="page">
      <PageTitle>There is no such page</PageTitle>
      <p>
        <Link href="/">Go to the overview</Link>, or see the <Link href="/segments">segments</Link>.
      </p>
    </section>
  );
}
