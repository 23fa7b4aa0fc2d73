import { type DragEvent, useState } from 'react';

const ACCEPTED = '.csv,.ndjson,.jsonl,text/csv,application/x-ndjson';

/** A file, dropped or chosen; it stays on this machine until its rows are sent. */
export function FileChooser({ onChoose }: { onChoose: (file: File) => void }) {
  const [isOver, setIsOver] = useState(false);

  function drop(event: DragEvent) {
    event.preventDefault();
    setIsOver(false);
    const [file] = event.dataTransfer.files;
    if (file) onChoose(file);
  }

  function drag(event: DragEvent) {
    event.preventDefault();
    setIsOver(true);
  }

  return (
    <>
      <label className={isOver ? 'drop over' : 'drop'} onDragOver={drag} onDragLeave={() => setIsOver(false)} onDrop={drop}>
        <strong>Choose a CSV or NDJSON file</strong>
        <span className="dim">or drop it here. Nothing is sent before you have seen what is in it.</span>
        <input
          type="file"
          className="hidden"
          accept={ACCEPTED}
          onChange={({ target }) => {
            const [file] = target.files ?? [];
            if (file) onChoose(file);
          }}
        />
      </label>
      <p className="dim">
        A row assigns a customer to a segment, or sets attributes of a customer. The first line of a CSV file names its columns, for
        example <code>segment,customer</code>.
      </p>
    </>
  );
}
