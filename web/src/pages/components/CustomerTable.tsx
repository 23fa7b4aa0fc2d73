import { PersonLink } from './PersonLink';

interface Customer {
  id: string;
  name: string | null;
  email: string | null;
  identities: readonly { key: string | null; externalId: string }[];
}

/** Customers with the keys by which their provider knows them. */
export function CustomerTable({ label, customers }: { label: string; customers: readonly Customer[] }) {
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Email</th>
            <th scope="col">Keys</th>
          </tr>
        </thead>
        <tbody>
          {customers.map(({ id, name, email, identities }) => (
            <tr key={id}>
              <th scope="row">
                <PersonLink id={id}>{name || 'no name'}</PersonLink>
              </th>
              <td>{email ?? '–'}</td>
              <td className="nowrap">
                {identities.map(({ key, externalId }) => (
                  <span key={`${key} ${externalId}`} className="key">
                    {key && <span className="dim">{key} </span>}
                    <code>{externalId}</code>
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
