import pytest

from include.domain.ids import to_18
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import UnknownUserError
from tests.salesforce.scripted import HOST, Answer, ScriptedSalesforce, error

USER = to_18("00500000000USER")
FORBIDDEN = Answer(403, b"Bad_OAuth_Token")


def test_the_user_is_named_in_18_characters() -> None:
    salesforce = ScriptedSalesforce(Answer(body={"user_id": USER[:15], "name": "Ann"}))

    assert SalesforceClient(salesforce.session).user_id() == USER
    assert salesforce.wire.sent[0].url == f"https://{HOST}/services/oauth2/userinfo"


def test_a_session_that_ended_is_renewed_although_this_address_says_403() -> None:
    salesforce = ScriptedSalesforce(FORBIDDEN, Answer(body={"user_id": USER}))

    assert SalesforceClient(salesforce.session).user_id() == USER
    assert salesforce.logins == 2
    tokens = [each.headers["Authorization"] for each in salesforce.wire.sent]
    assert tokens == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([FORBIDDEN, FORBIDDEN], "HTTP 403"),
        ([error(404, "NOT_FOUND")], "HTTP 404, NOT_FOUND"),
        ([Answer(body={"name": "Ann", "sub": "ann@example.com"})], "no Id"),
        ([Answer(body={"user_id": "ann@example.com"})], "no Id"),
        ([Answer(body=["ann@example.com"])], "no Id"),
    ],
)
def test_when_salesforce_does_not_tell_nobody_is_guessed(script: list[Answer], reason: str) -> None:
    salesforce = ScriptedSalesforce(*script)

    with pytest.raises(UnknownUserError, match=reason) as caught:
        SalesforceClient(salesforce.session).user_id()

    assert "ann@example.com" not in str(caught.value)
