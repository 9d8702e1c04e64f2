"""What became of the rows that were sent: one frame, one row per record."""

from collections.abc import Mapping

import pandas as pd

from include.salesforce.errors import IncompleteJobError
from include.salesforce.failures import UNPROCESSED, explain


def outcomes(
    record_ids: pd.Series, codes: Mapping[str, str], job_id: str | None = None
) -> pd.DataFrame:
    """Build the frame of `SalesforceClient.write_flags`.

    Args:
        record_ids: what was sent, each Id once.
        codes: Salesforce's status code of every record that did not succeed.
        job_id: the Bulk job, null for a collection.
    """
    nothing = pd.Series(None, index=record_ids.index, dtype="str")

    def told(words: Mapping[str, str]) -> pd.Series:
        return code.map(dict(words)).astype("str") if codes else nothing

    code = record_ids.map(dict(codes)).astype("str") if codes else nothing
    reasons = {each: explain(each) for each in set(codes.values())}
    return pd.DataFrame(
        {
            "record_id": record_ids,
            "succeeded": code.isna(),
            "failure_class": told({each: of.failure_class.value for each, of in reasons.items()}),
            "code": code,
            "fix": told({each: of.fix for each, of in reasons.items()}),
            "job_id": pd.Series(job_id, index=record_ids.index, dtype="str"),
        }
    )


def reconcile(
    sent: pd.Series,
    *,
    successful: pd.Series,
    failed: Mapping[str, str],
    unprocessed: pd.Series,
    job_id: str,
    unprocessed_code: str = UNPROCESSED,
) -> pd.DataFrame:
    """Match every row sent with its outcome, by Id: Salesforce promises no order.

    Args:
        sent: the Ids that were uploaded, each once.
        successful: Ids Salesforce accepted.
        failed: status code of each Id it rejected.
        unprocessed: Ids it never came to.
        job_id: the job.
        unprocessed_code: why it never came to them, where the job says so.

    Raises:
        IncompleteJobError: a row has no outcome, two outcomes, or was never sent.
    """
    named = [*successful, *failed, *unprocessed]
    if len(named) != len(sent) or set(named) != set(sent):
        raise IncompleteJobError(
            f"job {job_id}: {len(sent)} rows sent, but {len(successful)} successful, "
            f"{len(failed)} failed and {len(unprocessed)} unprocessed do not match them"
        )
    left = dict.fromkeys(unprocessed, unprocessed_code)
    return outcomes(sent, {**failed, **left}, job_id)
