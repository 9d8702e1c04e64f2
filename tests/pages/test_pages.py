"""Each page in Chromium, over the demo's company, as each role; the browser complains of nothing.

What a person does here is done with the mouse or the keyboard; what follows is looked up in the
store and in Salesforce.
"""

import csv
import io
from contextlib import closing
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from include.sync.clock import utc_now
from tests.pages.airflow_server import PASSWORD, PREFIX
from tests.sync.pushing import pushed

pytestmark = pytest.mark.timeout(900)

MENU = {
    "Overview": "Overview",
    "Person": "Why is this person opted out?",
    "Compliance": "Compliance",
    "Held clears": "Held clears",
    "Audit": "Audit",
    "Preflight": "Preflight",
    "Settings": "Settings",
}
EVERY_PAGE = [
    "/",
    "/person",
    "/person/{person}",
    "/compliance",
    "/compliance/print",
    "/held",
    "/audit",
    "/audit/nights",
    "/audit/decisions",
    "/preflight",
    "/settings",
]
FIELD = "HasOptedOutOfEmail"


@pytest.fixture
def world(company):
    return company.world


def somebody(world, *, opted_out):
    """A person with a living Contact whose two sides agree; each call names another one."""
    rows = world.sql(
        "SELECT p.id, p.email, l.record_id FROM engagement.person AS p "
        "JOIN opt_out_sync.link AS l ON l.person_id = p.id "
        "JOIN engagement.person_opt_out AS o ON o.person_id = p.id "
        "WHERE l.state = 'active' AND l.object = 'Contact' AND l.base = :out "
        "AND o.is_opted_out = :out "
        "AND NOT EXISTS (SELECT FROM opt_out_sync.link AS other "
        "  WHERE other.record_id = l.record_id AND other.person_id <> l.person_id) "
        "AND NOT EXISTS (SELECT FROM engagement.unsubscribe AS u WHERE u.person_id = p.id "
        "  AND (u.origin = 'Complaint' OR u.kind = 'resubscribe')) "
        "ORDER BY p.id LIMIT 1 OFFSET :n",
        out=opted_out,
        n=next(world.runs) + 20,
    )
    return rows[0]


# -- every page, every role


@pytest.mark.parametrize("who", ["viewer", "user", "op", "admin"])
def test_each_role_goes_through_the_menu(visit, who):
    window = visit(who)
    window.open("/")
    for title, heading in MENU.items():
        window.page.get_by_role("navigation", name="Pages").get_by_role("link", name=title).click()
        expect(window.page.get_by_role("heading", level=1)).to_have_text(heading)
        current = window.page.locator("nav [aria-current=page]")
        expect(current).to_have_text(title)
    expect(window.page.locator(".who")).to_have_text(who)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_what_a_screen_reader_or_weak_eyes_cannot_read(visit, world, scheme):
    window = visit("admin", color_scheme=scheme)
    person = somebody(world, opted_out=True).id
    for path in EVERY_PAGE:
        page = window.open(path.format(person=person))
        found = Axe().run(page).response["violations"]
        assert [(each["id"], [n["html"] for n in each["nodes"]][:3]) for each in found] == [], path


def test_every_page_fits_a_phone(visit, world):
    window = visit("admin", viewport={"width": 360, "height": 740})
    person = somebody(world, opted_out=True).id
    for path in EVERY_PAGE:
        page = window.open(path.format(person=person))
        if path != "/compliance/print":  # made for paper
            width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(width) <= 0, path


def test_a_page_is_used_by_keyboard_alone(visit):
    page = visit("viewer").open("/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(2):
        page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


# -- overview


def test_the_overview_tells_the_night_in_bars_and_in_a_table(visit, world):
    night = world.sql("SELECT night FROM opt_out_sync.sync_run WHERE kind = 'night' LIMIT 1")[0]
    page = visit("viewer", timezone_id="Asia/Tokyo", locale="en-GB").open("/")
    row = page.get_by_role("row", name=str(night.night))
    expect(row).to_contain_text("green")
    chart = page.get_by_role("img", name="Opt-outs carried")
    assert chart.locator("rect.series-0").count() >= 1
    next_night = page.locator("dl.figures time").first
    expect(next_night).to_contain_text("GMT+9")
    expect(next_night).to_have_attribute(
        "title", page.locator("dl.figures time").first.get_attribute("title")
    )


# -- settings


def test_a_save_is_a_version_with_name_time_and_reason(visit, world):
    page = visit("user").open("/settings")
    page.get_by_label("Days that evidence may wait").fill("9")
    page.get_by_label("Why", exact=True).fill("slow legal team")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved as version")
    first = page.get_by_role("region", name="History").locator("tbody tr").first
    expect(first).to_contain_text("slow legal team")
    expect(first).to_contain_text("user")
    expect(first).to_contain_text("evidence_days: 7 → 9")
    world.choose(evidence_days=7)


def test_a_wrong_value_is_explained_at_its_field_and_nothing_is_saved(visit, world):
    versions = world.sql("SELECT count(*) AS n FROM opt_out_sync.settings_version")[0].n
    window = visit("user")
    page = window.open("/settings")
    page.get_by_label("Days that evidence may wait").fill("1000")
    page.get_by_label("Why", exact=True).fill("x")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    expect(page.get_by_label("Days that evidence may wait")).to_have_attribute(
        "aria-invalid", "true"
    )
    expect(page.get_by_text("This must be a whole number from 1 to 90.")).to_be_visible()
    assert world.sql("SELECT count(*) AS n FROM opt_out_sync.settings_version")[0].n == versions
    refused(window, 422)


def test_whoever_was_overtaken_is_told_by_whom_and_keeps_what_they_typed(visit, world):
    window = visit("user")
    page = window.open("/settings")
    world.choose(api_reserve=777)
    page.get_by_label("Days that evidence may wait").fill("11")
    page.get_by_label("Why", exact=True).fill("mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("admin saved version")
    expect(page.get_by_label("Days that evidence may wait")).to_have_value("11")
    world.choose(api_reserve=500)
    refused(window, 409)


def test_choosing_another_field_shows_who_would_change_before_it_is_saved(visit, world, company):
    page = visit("user").open("/settings")
    page.get_by_role("radio", name="Both").check()
    page.get_by_label("Why", exact=True).fill("sales asked")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Not saved yet: who would change")).to_be_visible()
    with world.engine.begin() as conn:
        from include.audit import settings

        assert settings.current(conn).settings.field_mode == "email_opt_out"
    page.get_by_role("button", name="Save although it changes people").click()
    expect(page.get_by_role("status")).to_contain_text("Saved as version")
    world.choose(field_mode="email_opt_out")


def test_a_viewer_reads_the_settings_and_has_no_button(visit):
    page = visit("viewer").open("/settings")
    expect(page.get_by_label("Paused", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    expect(page.get_by_text("Your role may read the settings and not change them.")).to_be_visible()


# -- preflight


def test_preflight_checks_now_and_names_the_fix_of_a_red_line(visit, company):
    page = visit("viewer").open("/preflight")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("status")).to_contain_text("Checked")
    expect(page.get_by_role("button", name="Check again")).to_be_visible()
    before = page.locator(".badge.bad").count()
    company.org.control(
        "POST",
        "field-access",
        {"object": "Lead", "field": FIELD, "readable": False, "updateable": False},
    )
    try:
        page.get_by_role("button", name="Check again").click()
        row = page.locator("tr", has=page.locator(".badge.bad"), has_text="Lead").first
        expect(row).to_be_visible()
        assert page.locator(".badge.bad").count() > before
        assert len(row.locator("td").last.inner_text()) > 10
    finally:
        company.org.control(
            "POST",
            "field-access",
            {"object": "Lead", "field": FIELD, "readable": True, "updateable": True},
        )


# -- audit


def test_the_audit_is_filtered_sorted_and_paged_in_the_database(visit, world):
    page = visit("viewer").open("/audit")
    page.get_by_role("link", name="Decisions").first.click()
    total = world.sql("SELECT count(*) AS n FROM opt_out_sync.merge_audit")[0].n
    expect(page.get_by_role("navigation", name="Pages of the table").first).to_contain_text(
        f"Rows 1 to 50 of {total:,}"
    )
    page.get_by_role("link", name="Next page").first.click()
    expect(page.get_by_role("navigation", name="Pages of the table").first).to_contain_text(
        "Rows 51 to 100"
    )
    page.get_by_text("Filters", exact=False).first.click()
    page.locator("select[name=code]").select_option("BAD_SALESFORCE_ID")
    page.get_by_role("button", name="Filter").click()
    rows = page.locator("main tbody tr:not(.below)")
    expect(rows.first).to_contain_text("BAD_SALESFORCE_ID")
    count = "SELECT count(*) AS n FROM opt_out_sync.merge_audit WHERE code = 'BAD_SALESFORCE_ID'"
    assert rows.count() == min(50, world.sql(count)[0].n)
    rows.first.get_by_role("link", name="Whole row").click()
    expect(page.locator("dl.plain")).to_contain_text("BAD_SALESFORCE_ID")


def test_the_files_hold_every_row_that_fits(visit, world):
    page = visit("viewer").open("/audit/decisions?code=BAD_SALESFORCE_ID&code.op=eq")
    count = "SELECT count(*) AS n FROM opt_out_sync.merge_audit WHERE code = 'BAD_SALESFORCE_ID'"
    expected = world.sql(count)[0].n
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of everything that fits").click()
    with closing(download.value.path().open(encoding="utf-8", newline="")) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == expected
    assert {row["code"] for row in rows} == {"BAD_SALESFORCE_ID"}
    with page.expect_download() as download:
        page.get_by_role("link", name="Parquet of everything that fits").click()
    table = pq.read_table(io.BytesIO(download.value.path().read_bytes()))
    assert table.num_rows == expected
    assert download.value.suggested_filename.endswith(".parquet")


def test_a_filter_that_a_column_cannot_have_is_explained(visit):
    window = visit("viewer")
    window.page.goto(f"{window.server.url}{PREFIX}/audit/decisions?sync_run_id=many")
    expect(window.page.get_by_role("alert")).to_contain_text("must be a whole number")
    refused(window, 422)


# -- person


@pytest.mark.parametrize("typed", ["id", "address", "salesforce id"])
def test_somebody_is_found_by_any_of_three_names(visit, world, typed):
    person = somebody(world, opted_out=True)
    values = {
        "id": str(person.id),
        "address": person.email.upper(),
        "salesforce id": person.record_id[:15],
    }
    page = visit("admin").open("/person")
    page.get_by_label("Person", exact=True).fill(values[typed])
    page.get_by_label("Reason").fill("they asked")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Person {person.id}")
    expect(page.locator(".sentence")).to_contain_text(f"Person {person.id} is opted out since")
    assert person.email in page.content()
    assert person.email.upper() not in page.url.upper()


def test_somebody_nobody_knows_is_said_to_be_unknown(visit):
    page = visit("viewer").open("/person")
    page.get_by_label("Person", exact=True).fill("nobody@example.invalid")
    page.get_by_label("Reason").fill("they asked")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("The store knows nobody by that.")).to_be_visible()


def test_the_state_at_a_time_is_told(visit, world):
    person = somebody(world, opted_out=True)
    page = visit("viewer").open(f"/person/{person.id}")
    page.get_by_label("Time (UTC)").fill(f"{utc_now() - timedelta(days=4000):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Show").click()
    section = page.locator("section", has=page.get_by_role("heading", name="At a time"))
    expect(section).to_contain_text("not opted out")


def test_a_consent_is_recorded_judged_and_shown(visit, world):
    person = somebody(world, opted_out=True)
    page = visit("user").open(f"/person/{person.id}")
    page.get_by_text("Record that this person may be mailed again").click()
    page.get_by_label("Reason").fill("asked by phone")
    page.get_by_label("Evidence: where it is documented").fill("CASE-77")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_text("Waiting for the judgement of a push")).to_be_visible()
    pushed(world, f"consent-{person.id}")
    expect(page.locator("[role=status] .badge")).to_have_text("accepted")
    assert not world.in_store(person.id)
    assert not world.in_salesforce(person.record_id)
    act = world.sql("SELECT actor, evidence_ref FROM engagement.unsubscribe ORDER BY id DESC")
    assert ("user", "CASE-77") in [tuple(row) for row in act[:3]]


def test_a_viewer_may_neither_consent_nor_push_for_somebody(visit, world):
    page = visit("viewer").open(f"/person/{somebody(world, opted_out=True).id}")
    expect(page.get_by_text("Record that this person may be mailed again")).to_have_count(0)


def test_a_parked_push_is_tried_again_or_closed(visit, world):
    first, second = somebody(world, opted_out=False), somebody(world, opted_out=False)
    for person in (first, second):
        world.unsubscribe(person.id, at=utc_now())
    pushed(world, "parking")
    world.sql(
        "UPDATE opt_out_sync.push_outbox SET state = 'parked', closed_at = NULL, attempts = 3, "
        "failure_class = 'validation', code = 'FIELD_CUSTOM_VALIDATION_EXCEPTION', "
        "fix = 'Mend the rule.', next_attempt_at = now() + interval '1 hour' "
        "WHERE person_id IN (:a, :b)",
        a=first.id,
        b=second.id,
    )
    window = visit("user")
    page = window.open(f"/person/{first.id}")
    expect(page.get_by_text("Mend the rule.")).to_be_visible()
    page.get_by_role("button", name="Try again now").click()
    expect(page.get_by_role("status")).to_contain_text("A push looks at this person now.")
    due = "SELECT next_attempt_at <= now() AS is_due FROM opt_out_sync.v_push_outbox"
    assert world.sql(f"{due} WHERE person_id = :p", p=first.id)[0].is_due
    page = window.open(f"/person/{second.id}")
    closing_form = page.get_by_role("form", name="Close the push")
    closing_form.get_by_label("Why").fill("record is frozen")
    closing_form.get_by_role("button", name="Close it").click()
    expect(page.get_by_role("status")).to_contain_text("The push is closed.")
    done = "SELECT person_id, action, intervened_by, note FROM opt_out_sync.push_intervention"
    assert [tuple(row) for row in world.sql(f"{done} ORDER BY id")] == [
        (first.id, "retry", "user", "the cause is mended"),
        (second.id, "give up", "user", "record is frozen"),
    ]


# -- compliance


def test_compliance_lists_every_unsubscribe_also_as_csv_and_on_paper(visit):
    page = visit("viewer").open("/compliance")
    shown = page.locator("main tbody tr").count()
    assert shown > 0
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of all of them").click()
    with closing(download.value.path().open(encoding="utf-8", newline="")) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= shown
    page.get_by_role("link", name="Printable page").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Unsubscribes from")
    page.emulate_media(media="print")
    expect(page.locator("header")).to_be_hidden()


# -- held clears


def test_held_clears_lead_to_the_question(visit, world):
    person = somebody(world, opted_out=True)
    world.choose(held_clears_minimum=0, held_clears_fraction=0)
    world.consent(person.id)
    world.work()
    page = visit("viewer").open("/held")
    expect(page.get_by_role("row", name=str(person.id)).first).to_be_visible()
    link = page.get_by_role("link", name="Answer in Airflow")
    expect(link).to_have_attribute("href", "/required_actions")
    world.choose(held_clears_minimum=5, held_clears_fraction=0.001)


# -- inside Airflow


def test_the_pages_stand_in_airflows_menu_and_links_lead_out_of_their_frame(chromium, pages):
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(pages.url)
    page.get_by_label("Username").fill("viewer")
    page.locator("input[name=password], input[type=password]").first.fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/auth/" not in url)
    page.goto(f"{pages.url}/plugin/opt-out-sync")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Overview")
    frame.get_by_role("link", name="run", exact=True).first.click()
    page.wait_for_url("**/dags/unsubscribe_nightly_sync/runs/**")
    context.close()


def refused(window, status):
    """Take note that the browser told of a refusal that the test wanted."""
    window.complaints[:] = [each for each in window.complaints if str(status) not in each]
