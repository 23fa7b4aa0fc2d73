"""The audits of graphql-http, the reference implementation of GraphQL over HTTP."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.security.served import really_serving

ROOT = Path(__file__).parents[2]
PATH = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
NODE = shutil.which("node", path=PATH)
SUITE = ROOT / "web" / "node_modules" / "graphql-http"
IN_CI = os.environ.get("CI") == "true"

RUN = """
import { serverAudits } from 'graphql-http';
const audits = serverAudits({ url: process.argv[1] });
const results = [];
for (const audit of audits) {
  const { name, status, reason } = await audit.fn();
  results.push({ name, status, reason });
}
console.log(JSON.stringify(results));
"""


@pytest.mark.skipif(NODE is None and not IN_CI, reason="Node.js is missing")
@pytest.mark.skipif(not SUITE.is_dir() and not IN_CI, reason="run `make pages` first")
async def test_all_audits() -> None:
    """All of them pass, those that only recommend as well."""
    async with really_serving() as server:
        running = await asyncio.create_subprocess_exec(
            *(str(NODE), "--input-type=module", "-e", RUN),
            f"http://{server.host}:{server.port}/graphql",
            cwd=ROOT / "web",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await running.communicate()

    assert running.returncode == 0, err.decode()
    results = json.loads(out)
    assert [each for each in results if each["status"] != "ok"] == []
    assert len(results) == 61
