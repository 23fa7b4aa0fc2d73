"""The contract tests of adapters, for packages that add a kind of provider.

They need pytest, which the gateway itself does not.
"""

import pytest

# Their assertions show values, as those of test modules do.
pytest.register_assert_rewrite(
    "gateway.testing.contract", "gateway.testing.replies", "gateway.testing.webhooks"
)
