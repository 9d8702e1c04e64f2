"""Who gets in, and what they may do, behind each of Airflow's two usual auth managers."""

import pytest
from sqlalchemy import text

from tests.pages.airflow_server import FAB

pytestmark = pytest.mark.timeout(900)

EVERYWHERE = [
    "/",
    "/settings",
    "/preflight",
    "/audit",
    "/audit/decisions",
    "/audit/decisions/file/csv",
    "/audit/nights/1",
    "/person",
    "/person/1",
    "/person/1/judged/1",
    "/held",
    "/compliance",
    "/compliance/print",
    "/compliance/file/csv",
    "/static/pages.css",
    "/static/nothing",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/nothing",
]
FORMS = [
    "/settings",
    "/preflight",
    "/person",
    "/person/1/resubscribe",
    "/person/1/retry",
    "/person/1/give-up",
    "/nothing",
]
CHANGES = ["/settings", "/person/1/resubscribe", "/person/1/retry", "/person/1/give-up"]
ADDRESS = "grace@example.com"


@pytest.fixture
def person(store):
    """Somebody whose address is a secret."""
    with store.begin() as conn:
        conn.execute(
            text("INSERT INTO engagement.person (id, email) VALUES (7, :a) ON CONFLICT DO NOTHING"),
            {"a": ADDRESS},
        )
    return 7


@pytest.mark.parametrize("path", EVERYWHERE)
def test_nobody_reads_anything_without_signing_in(server, path):
    assert server.ask(path).status_code == 401
    assert server.ask(path, method="HEAD").status_code == 401


@pytest.mark.parametrize("path", FORMS)
def test_nobody_sends_a_form_without_signing_in(server, path):
    assert server.post(path).status_code == 401


@pytest.mark.parametrize("path", ["/", "/static/pages.css", "/settings"])
def test_a_forged_login_is_none(server, path):
    for headers in ({"Authorization": "Bearer x.y.z"}, {"Cookie": "_token=x.y.z"}):
        assert server.ask(path, headers=headers).status_code in {401, 403}


def test_other_ways_to_send_a_login_are_none(server):
    basic = {"Authorization": "Basic YWRtaW46YWRtaW4="}
    assert server.ask("/", headers=basic).status_code == 401
    assert server.ask(f"/?_token={server.token('admin')}").status_code == 401


@pytest.mark.parametrize("path", ["/", "/settings", "/preflight", "/audit", "/held", "/person"])
@pytest.mark.parametrize("who", ["viewer", "user", "op", "admin"])
def test_whoever_may_see_the_nightly_dag_reads(server, who, path):
    reply = server.ask(path, who)
    assert reply.status_code == 200, reply.text
    assert "<h1>" in reply.text
    assert server.ask(path, who, cookie=False).status_code == 200


@pytest.mark.parametrize("path", CHANGES)
def test_a_viewer_changes_nothing(server, path):
    reply = server.post(path, "viewer", {"note": "x"})
    assert reply.status_code == 403
    assert "may not edit" in reply.text


def test_a_method_that_no_route_has_is_a_change_too(server):
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        headers = {"Origin": server.url}
        assert server.ask("/settings", "viewer", method, headers=headers).status_code == 403


def test_whoever_may_change_the_nightly_dag_saves_settings(server):
    base = server.ask("/settings", "user").text.partition('name="base_version" value="')[2]
    form = {"base_version": base.partition('"')[0], "switch": "off", "note": "again"}
    reply = server.post("/settings", "user", form)
    assert reply.status_code == 303, reply.text
    assert reply.headers["location"] == "/opt-out-sync/settings?done=nothing"


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    ("origin", "headers"),
    [
        ("https://evil.example", {}),
        ("null", {}),
        (None, {}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
        (None, {"Sec-Fetch-Site": "same-site"}),
        ("same", {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_a_form_of_another_site_is_refused_even_for_an_admin(server, path, origin, headers):
    reply = server.post(path, "admin", {"note": "x"}, origin=origin, headers=headers)
    assert reply.status_code == 403
    assert "not sent from a page" in reply.text


def test_a_program_with_a_bearer_token_comes_from_no_site(server):
    assert server.post("/preflight", "viewer", origin=None, cookie=False).status_code == 200


def test_an_address_is_shown_only_to_those_who_may_see_it(server, person):
    form = {"typed": ADDRESS, "reason": "asked by phone"}
    sees = "support" if server.manager == FAB else "op"
    assert ADDRESS in server.post("/person", sees, form).text
    for who in ("viewer", "user"):
        reply = server.post("/person", who, form)
        assert reply.status_code == 200
        assert f"Person {person}" in reply.text
        assert ADDRESS not in reply.text


def test_each_look_is_noted_with_the_name_and_without_what_was_typed(server, person, store):
    server.post("/person", "viewer", {"typed": ADDRESS, "reason": "ticket 12"})
    server.ask(f"/person/{person}", "viewer")
    with store.begin() as conn:
        rows = conn.execute(
            text("SELECT * FROM opt_out_sync.look_up ORDER BY id DESC LIMIT 2")
        ).mappings()
        looks = [dict(row) for row in rows]
    assert [look["reason"] for look in looks] == ["Opened by its number.", "ticket 12"]
    assert all(look["person_id"] == person for look in looks)
    assert all("viewer" in look["looked_up_by"] for look in looks)
    assert ADDRESS not in repr(looks)


def test_every_answer_forbids_what_comes_from_elsewhere(server):
    for path, who in (("/", "viewer"), ("/static/pages.js", "viewer"), ("/nothing", None)):
        policy = server.ask(path, who).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
    assert server.ask("/", "viewer").headers["cache-control"] == "no-store"


# The simple auth manager has no role without rights.
@pytest.mark.parametrize("server", [FAB], ids=["fab"], indirect=True)
def test_a_role_without_rights_reads_nothing(server):
    for path in EVERYWHERE:
        assert server.ask(path, "public").status_code == 403
    for path in FORMS:
        assert server.post(path, "public").status_code == 403


def test_before_the_first_night_every_page_says_what_there_is_not(server):
    assert "No night has run yet." in server.ask("/", "viewer").text
    assert "Nothing waits for approval." in server.ask("/held", "viewer").text
    assert "No unsubscribe of this period fits." in server.ask("/compliance", "viewer").text
    assert "Nothing is written down here yet." in server.ask("/audit/decisions", "viewer").text
