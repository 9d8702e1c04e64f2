"""Make a seeded world that breaks a property small, as hypothesis does with drawn ones.

`shrink(world, fails)` takes things away, and sets columns to their defaults, as long as it fails.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import MISSING, fields, replace

from tests.property.worlds import Setting, World

Fails = Callable[[World], bool]


def shrink(world: World, fails: Fails) -> World:
    """Return a world that still fails and of which nothing more can be taken away."""
    smaller = next((one for one in _smaller(world) if fails(one)), None)
    while smaller is not None:
        world = smaller
        smaller = next((one for one in _smaller(world) if fails(one)), None)
    return world


def _smaller(world: World) -> Iterator[World]:
    yield from _without_things(world)
    yield from _plainer_things(world)
    yield from _plainer_settings(world)


def _without_things(world: World) -> Iterator[World]:
    for name in ("people", "records", "links", "own_writes"):
        for key in getattr(world, name):
            copy = deepcopy(world)
            del getattr(copy, name)[key]
            yield copy
    for index in range(len(world.acts)):
        copy = deepcopy(world)
        del copy.acts[index]
        yield copy


def _plainer_things(world: World) -> Iterator[World]:
    for name in ("records", "links"):
        for key, thing in getattr(world, name).items():
            for column, plain in _plain_columns(thing):
                copy = deepcopy(world)
                setattr(getattr(copy, name)[key], column, plain)
                yield copy
    for index, act in enumerate(world.acts):
        for column, plain in _plain_columns(act):
            copy = deepcopy(world)
            setattr(copy.acts[index], column, plain)
            yield copy


def _plain_columns(thing: object) -> Iterator[tuple[str, object]]:
    for one in fields(thing):  # type: ignore[arg-type]
        has_factory = one.default_factory is not MISSING
        default = one.default_factory() if has_factory else one.default  # type: ignore[misc]
        is_needed = one.name in ("caused_by", "base_since")  # never without
        if default is not MISSING and not is_needed and getattr(thing, one.name) != default:
            yield one.name, default


def _plainer_settings(world: World) -> Iterator[World]:
    plain = Setting()
    for one in fields(Setting):
        value = getattr(plain, one.name)
        if getattr(world.setting, one.name) != value:
            copy = deepcopy(world)
            copy.setting = replace(world.setting, **{one.name: value})
            yield copy
