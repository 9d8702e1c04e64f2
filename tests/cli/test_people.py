from sqlalchemy import text

from include.store.database import transaction
from tests.database.world import CANARY, NOW, add_act, add_people


def one_who_opted_out(engine):
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person)
    return person


def test_what_was_true_at_a_time_is_told_with_its_source(engine, say):
    person = one_who_opted_out(engine)
    answer = say("opt-out-at", person, NOW.isoformat())
    assert answer.status == 0
    assert "engagement.unsubscribe" in answer.out
    assert "yes" in answer.out
    early = say("opt-out-at", person, "2020-01-01T00:00:00Z")
    assert "no" in early.out.splitlines()[1].split()
    unknown = say("opt-out-at", 4711, NOW.isoformat())
    assert (unknown.status, unknown.out) == (1, "")
    assert "nothing is known of person 4711" in unknown.err


def test_a_person_is_forgotten_only_when_that_is_meant(engine, say):
    person = one_who_opted_out(engine)
    words = ("forget", person, "--by", "Ada", "--note", "asked for it")
    asked = say(*words)
    assert (asked.status, "add --yes" in asked.err) == (1, True)
    done = say(*words, "--yes")
    assert done.status == 0
    assert f"Erased person {person}. 1 opt-out stay" in done.out
    with transaction(engine) as conn:
        assert conn.execute(text("SELECT count(*) FROM engagement.person")).scalar_one() == 0
        add_people(conn, 1)
        query = text("SELECT is_opted_out FROM engagement.person_opt_out")
        assert conn.execute(query).scalar_one() is True
    assert say(*words, "--yes").status == 1
    assert CANARY not in done.out
