"""Which API versions the org speaks."""

from __future__ import annotations

from local.salesforce_emulator.errors import SalesforceError, not_found

OLDEST_VERSION = 31  # older ones were retired in 2025 [documented]
NEWEST_VERSION = 66


def check_version(version: str) -> None:
    """Refuse retired versions with 410 [documented] and future ones with 404 [assumed].

    Raises:
        SalesforceError: the version is none of those.
    """
    try:
        number = float(version)
    except ValueError as error:
        raise not_found() from error
    if number < OLDEST_VERSION:
        message = f"API version {version} is no longer supported"
        raise SalesforceError(410, "UNSUPPORTED_API_VERSION", message)
    if not number <= NEWEST_VERSION:
        raise not_found()
