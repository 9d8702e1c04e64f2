"""Starts the emulator from the command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from local.salesforce_emulator.app import create_app
from local.salesforce_emulator.certificates import Certificates, ensure_certificates, public_key
from local.salesforce_emulator.connection import (
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
    connection_json,
)
from local.salesforce_emulator.database import ForeignDatabaseError
from local.salesforce_emulator.latency import PROFILES
from local.salesforce_emulator.org import Client, Org
from local.salesforce_emulator.seed import SeedPlan
from local.salesforce_emulator.server import LOOPBACK, PortTakenError, listen, serve


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    database: Path = options.database
    certificate = options.jwt_certificate and public_key(options.jwt_certificate.read_text())
    client = Client(options.client_id, options.client_secret, certificate)
    plan = SeedPlan(options.contacts, options.leads, options.seed)
    try:
        http, tls = (listen(port, options.host) for port in (options.http_port, options.tls_port))
        database.parent.mkdir(parents=True, exist_ok=True)
        org = Org(database, client, plan)
    except (PortTakenError, ForeignDatabaseError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    org.options.latency = PROFILES[options.latency]
    certificates = ensure_certificates(options.certificates or database.parent)
    print(_how_to_log_in(options, client, certificates), flush=True)
    try:
        serve(create_app(org), org.doors, http, tls, certificates)
    finally:
        org.close()
    return 0


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else 0
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (1 to 65535)")
    return port


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of records")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.salesforce_emulator",
        description="A Salesforce org on this machine. Control API: /__emulator__/ on both ports.",
        epilog="Log in: curl -d grant_type=client_credentials -u ID:SECRET "
        "http://127.0.0.1:18080/services/oauth2/token . As an Airflow Connection: start it, it "
        "prints one.",
    )
    parser.add_argument(
        "--host", default=LOOPBACK, help="address to listen on (default: this machine only)"
    )
    parser.add_argument("--http-port", type=_port, default=18080, help="plain HTTP (default 18080)")
    parser.add_argument("--tls-port", type=_port, default=18443, help="TLS (default 18443)")
    parser.add_argument(
        "--database", type=Path, required=True, help="SQLite file; an existing one is reused"
    )
    parser.add_argument("--contacts", type=_count, default=3_500, help="Contacts in a new file")
    parser.add_argument("--leads", type=_count, default=1_500, help="Leads in a new file")
    parser.add_argument("--seed", type=int, default=7, help="the same seed, the same records")
    parser.add_argument(
        "--latency", choices=PROFILES, default="zero", help="how long a call and a job take"
    )
    parser.add_argument(
        "--certificates", type=Path, help="folder for the private CA (default: the database's)"
    )
    parser.add_argument(
        "--jwt-certificate", type=Path, help="PEM whose key signs JWT assertions (default: none)"
    )
    environment = os.environ
    parser.add_argument(
        "--client-id",
        default=environment.get("SALESFORCE_EMULATOR_CLIENT_ID") or DEFAULT_CLIENT_ID,
    )
    parser.add_argument(
        "--client-secret",
        default=environment.get("SALESFORCE_EMULATOR_CLIENT_SECRET") or DEFAULT_CLIENT_SECRET,
    )
    return parser


def _how_to_log_in(options: argparse.Namespace, client: Client, certificates: Certificates) -> str:
    connection = connection_json(client.client_id, client.client_secret, options.tls_port)
    token_url = f"http://127.0.0.1:{options.http_port}/services/oauth2/token"
    return "\n".join(
        (
            f"Salesforce emulator: http://127.0.0.1:{options.http_port} and "
            f"https://127.0.0.1:{options.tls_port}",
            f"curl -d grant_type=client_credentials -u '{client.client_id}:{client.client_secret}'"
            f" {token_url}",
            f"export REQUESTS_CA_BUNDLE={certificates.bundle}",
            f"export AIRFLOW_CONN_SALESFORCE='{connection}'",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
