import { useId, useState } from 'react';
import { useQuery } from 'urql';
import { Failure, Loading } from '../components/states';
import { RulesOfDocument, type RulesOfQuery } from '../generated';
import { ConditionInWords, shown } from '../segment/Rule';

interface Props {
  customer: { id: string };
  provider: string;
  /** The segments that the customer is in. */
  inIds: readonly string[];
}

/** Why somebody is not in a segment: its rule beside what the provider knows of them. */
export function WhyNot({ customer, provider, inIds }: Props) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>Why not in another segment?</summary>
      {isOpen && <Choice customer={customer} provider={provider} inIds={inIds} />}
    </details>
  );
}

function Choice({ customer, provider, inIds }: Props) {
  const id = useId();
  const [chosen, setChosen] = useState('');
  const variables = { filter: { providers: [provider] }, customer: customer.id };
  const [{ data, error }] = useQuery({ query: RulesOfDocument, variables });
  if (!data) return error ? <Failure error={error} /> : <Loading what="the segments" />;
  const others = data.segments.nodes.filter((segment) => !inIds.includes(segment.id));
  const segment = others.find((each) => each.id === chosen);
  return (
    <div className="stack">
      <label htmlFor={id}>Segment</label>
      <select id={id} value={chosen} onChange={({ target }) => setChosen(target.value)}>
        <option value="">Choose …</option>
        {others.map((each) => (
          <option key={each.id} value={each.id}>
            {each.name}
          </option>
        ))}
      </select>
      {segment && <Reason segment={segment} attributes={data.customer?.attributes} />}
    </div>
  );
}

type Segment = RulesOfQuery['segments']['nodes'][number];

function Reason({ segment, attributes }: { segment: Segment; attributes: unknown }) {
  if (!segment.rule) return <p>It has no rule: somebody has to assign this customer.</p>;
  return (
    <ul className="rule" aria-label={`Rule of ${segment.name}`}>
      {segment.rule.conditions.map((condition) => {
        const value = valueAt(condition.field, attributes);
        return (
          <li key={condition.path + condition.operator}>
            <ConditionInWords {...condition} />
            <div className="dim">{value === undefined ? 'The gateway does not know this of the customer.' : `This customer: ${shown(value)}`}</div>
          </li>
        );
      })}
    </ul>
  );
}

/** Return what the attributes have of a rule's field; Voucherify names them below `metadata`. */
function valueAt(field: string, attributes: unknown): unknown {
  const names = field.replace(/^metadata\./, '').split('.');
  return names.reduce<unknown>((inner, name) => (inner as Record<string, unknown> | null | undefined)?.[name], attributes);
}
