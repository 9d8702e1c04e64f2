from datetime import timedelta

from include.audit import links

BY = ["--by", "Ada", "--note", "the automation is fixed"]


def test_nothing_is_held_at_first(say):
    assert say("held") == (0, "Nothing is held.\n", "")


def test_held_clears_are_listed_by_code_with_their_age(say, world):
    pairs = [world.pair(True, True) for _ in range(6)]
    world.night()
    for person, _ in pairs:
        world.consent(person)
    world.work()
    world.sql("UPDATE opt_out_sync.held_clear SET held_at = held_at - :a", a=timedelta(hours=5))
    person, record = pairs[0]
    world.sql(
        "UPDATE opt_out_sync.held_clear SET held_at = held_at - :a WHERE person_id = :p",
        a=timedelta(days=2),
        p=person,
    )
    answer = say("held")
    assert answer.status == 0
    heading, codes, _, _, oldest, *_ = answer.out.splitlines()
    assert heading.split() == ["code", "clears", "people", "oldest", "newest"]
    assert codes.split() == ["RESUBSCRIBED", "6", "6", "2", "days", "5", "hours"]
    assert oldest.split()[3:] == [
        str(person),
        "Contact",
        record,
        "HasOptedOutOfEmail",
        "RESUBSCRIBED",
    ]


def test_a_clear_without_a_record_is_listed_too(say, world):
    world.choose(held_clears_minimum=0, held_clears_fraction=0)
    person = world.person(None, opted_out=True)
    world.consent(person)
    world.work()
    assert f" {person} " in say("held").out


def test_a_person_is_released_once(say, world):
    person, _ = world.pair(True, True)
    world.night()
    world.sql("UPDATE opt_out_sync.link SET flips = 3")
    answer = say("release", person, *BY)
    assert answer == (0, "Released 1 link: the next run writes to Salesforce again.\n", "")
    assert list(links.read_links(world.engine, world.org_id(), None)["flips"]) == [0]
    (kept,) = world.sql("SELECT * FROM opt_out_sync.link_release")
    assert (kept.person_id, kept.released_by, kept.note) == (person, "Ada", BY[3])
    again = say("release", person, *BY)
    assert again.status == 0
    assert again.out == (
        f"Nothing to release: nobody undoes what is written for person {person}.\n"
    )


def test_a_release_has_an_author_and_a_reason(say):
    assert "required: --by, --note" in say("release", 7).err
    assert say("release", 7, "--by", "A\0", "--note", "x").status == 2
