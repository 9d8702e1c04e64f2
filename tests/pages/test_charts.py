"""Bars over nights: what is drawn, and the sentence for whoever cannot see it."""

from datetime import date, timedelta

from include.reports.nights import Night, NightState
from include.web import charts

FIRST = date(2026, 1, 1)


def nights(*rows, state=NightState.GREEN):
    """One night per row of (to Salesforce, to the store)."""
    return [
        Night(
            FIRST + timedelta(days=day),
            state,
            opt_outs_to_salesforce=out,
            opt_outs_to_store=store,
        )
        for day, (out, store) in enumerate(rows)
    ]


def test_the_highest_bar_fills_the_chart_and_pieces_stand_on_each_other():
    chart = charts.carried(nights((30, 10), (10, 10)))
    assert chart.top == 40
    tall, low = chart.bars
    assert [(part.y, part.height) for part in tall.parts] == [(25.0, 75.0), (0.0, 25.0)]
    assert sum(part.height for part in low.parts) == 50.0
    assert tall.x < low.x


def test_bars_of_a_year_stand_beside_each_other():
    chart = charts.carried(nights(*[(1, 1)] * 365))
    assert chart.width == 365
    assert [bar.x for bar in chart.bars] == list(range(365))
    assert all(bar.width == 1 for bar in chart.bars)


def test_no_night_is_no_bar_and_a_sentence():
    chart = charts.carried([])
    assert chart.bars == []
    assert chart.top == 0
    assert chart.summary == "Opt-outs carried: no night yet."


def test_one_night_is_a_bar_and_no_wall():
    chart = charts.carried(nights((3, 4)))
    assert chart.bars[0].width < chart.width / 10


def test_the_sentence_adds_up_what_the_bars_show():
    chart = charts.carried(nights((3, 4), (1000, 0)))
    assert chart.summary == (
        "Opt-outs carried, 2 nights from 2026-01-01 to 2026-01-02: "
        "to Salesforce 1,003, to the store 4, pushed before it 0."
    )
    assert chart.bars[0].title == "2026-01-01: to Salesforce 3, to the store 4, pushed before it 0"


def test_a_night_that_was_missed_says_so_to_the_pointer():
    (bar,) = charts.carried(nights((0, 0), state=NightState.MISSED)).bars
    assert bar.state == "missed"
    assert bar.title.startswith("2026-01-01 (missed): ")


def test_rare_codes_share_a_colour_and_agreement_has_none():
    codes = {f"CODE_{letter}": place for place, letter in enumerate("ABCDEFGH", 1)}
    chart = charts.conflicts([Night(FIRST, NightState.GREEN, codes=codes | {"AGREED": 10_000})])
    assert chart.legend == ("CODE_H", "CODE_G", "CODE_F", "CODE_E", "CODE_D", "CODE_C", "others")
    assert chart.top == sum(codes.values())
