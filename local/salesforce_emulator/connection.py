"""How clients reach the emulator."""

from __future__ import annotations

import json

API_VERSION = "65.0"
DEFAULT_CLIENT_ID = "emulator-client"
DEFAULT_CLIENT_SECRET = "emulator-secret"  # noqa: S105 - opens nothing but this emulator
DEFAULT_PASSWORD = "emulator-password"  # noqa: S105 - the same
DEFAULT_SECURITY_TOKEN = "EMULATORTOKEN"  # noqa: S105 - the same


def connection_json(client_id: str, client_secret: str, tls_port: int) -> str:
    """Return the Airflow Connection which reaches the emulator with an unmodified SalesforceHook.

    The hook's library writes "https://" + domain + ".salesforce.com/...": the question mark at
    the end of the domain turns what follows into a query string.
    """
    extra = {
        "consumer_key": client_id,
        "consumer_secret": client_secret,
        "domain": f"127.0.0.1:{tls_port}/login?x=",
        "version": API_VERSION,
    }
    return json.dumps({"conn_type": "salesforce", "extra": extra})
