import { useState } from 'react';
import { useQuery } from 'urql';
import { PageTitle } from '../components/PageTitle';
import { Empty, Failure, Loading } from '../components/states';
import { ImportProvidersDocument } from '../generated';
import { FileChooser } from './FileChooser';
import { isSupported, KINDS, type Provider } from './kinds';
import { Rows } from './Rows';
import { columnsOf, UnreadableFile } from './rows';

/** A file of assignments or attributes, sent to a provider row by row, as `gateway import` does. */
export default function Import() {
  const [{ data, error }, read] = useQuery({ query: ImportProvidersDocument });
  const providers = data?.providers.filter((provider) => KINDS.some(({ kind }) => isSupported(provider, kind)));
  return (
    <section className="page">
      <PageTitle>Import</PageTitle>
      {error && !data && <Failure error={error} onRetry={() => read({ requestPolicy: 'network-only' })} />}
      {!data && !error && <Loading what="the providers" />}
      {providers &&
        (providers.length ? (
          <Chosen providers={providers} />
        ) : (
          <Empty title="Nothing can be imported">None of the providers that you may see accepts assignments or attributes.</Empty>
        ))}
    </section>
  );
}

interface ReadableFile {
  file: File;
  columns: ReadonlyMap<string, readonly unknown[]>;
}

function Chosen({ providers }: { providers: readonly Provider[] }) {
  const [chosen, setChosen] = useState<ReadableFile | null>(null);
  const [problem, setProblem] = useState('');

  async function choose(file: File) {
    setProblem('');
    try {
      setChosen({ file, columns: await columnsOf(file) });
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      setChosen(null);
      setProblem(error.message);
    }
  }

  return (
    <>
      {!chosen && <FileChooser onChoose={(file) => void choose(file)} />}
      {problem && (
        <p className="bad" role="alert">
          {problem}
        </p>
      )}
      {chosen && <Rows {...chosen} providers={providers} onLeave={() => setChosen(null)} />}
    </>
  );
}
