"""The fifteen properties of the rules over generated worlds, under both rules.

Each sees thousands of seeded worlds, many merged at once (their Ids and people do not meet, so each
is decided as if it were alone), and some drawn by hypothesis, which shrink. A seeded world that
breaks a property is made small, and printed as Python. `OPT_OUT_SYNC_WORLDS` says how many seeded
worlds each property sees under each rule.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings

from include.domain.conflicts import ConflictRule
from tests.property import shrink
from tests.property import worlds as generator
from tests.property.properties import OTHERS, SECTION_10

WORLDS = int(os.environ.get("OPT_OUT_SYNC_WORLDS", "1000"))
PER_BATCH = min(WORLDS, 500)
PROPERTIES = SECTION_10 | OTHERS
DRAWN = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

of_each_property = pytest.mark.parametrize(
    "holds", [pytest.param(one, id=f"{name}-{one.__name__}") for name, one in PROPERTIES.items()]
)


@of_each_property
@pytest.mark.parametrize("rule", [rule.value for rule in ConflictRule])
def test_a_property_holds_in_thousands_of_worlds(holds, rule):
    for seed in range(WORLDS // PER_BATCH):
        for world, sentence in holds(generator.batch(seed, PER_BATCH, rule)):
            small = shrink.shrink(world, lambda one: bool(list(holds([one]))))
            pytest.fail(f"{sentence}\n{generator.literal(small)}")


@of_each_property
def test_a_property_holds_in_whatever_world_is_drawn(holds):
    @DRAWN
    @given(generator.worlds())
    def draw(world):
        assert [sentence for _, sentence in holds([world])] == []

    draw()
