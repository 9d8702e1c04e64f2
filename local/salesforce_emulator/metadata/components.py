"""Components of metadata, whatever their kind, and why one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from local.salesforce_emulator.errors import RowError
    from local.salesforce_emulator.org import Org

Component = dict[str, Any]


class ComponentError(Exception):
    """One component cannot be saved; the others of the call can."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.code)
        self.error = error


class Kind(Protocol):
    """One kind of component, such as Layout; ``org`` is changed as an administrator would."""

    @property
    def name(self) -> str:
        """Its name in both APIs."""

    def names(self, org: Org) -> list[tuple[str, str]]:
        """Return Id and full name of each component."""

    def read(self, org: Org, full_name: str) -> Component | None:
        """Return a component, None when there is none of that name."""

    def create(self, org: Org, user_id: str, component: Component) -> str:
        """Save a new component and return its Id.

        Raises:
            ComponentError: it cannot be saved.
        """

    def update(self, org: Org, user_id: str, component: Component) -> None:
        """Replace a component.

        Raises:
            ComponentError: it cannot be saved, or there is none of that name.
        """

    def delete(self, org: Org, user_id: str, full_name: str) -> None:
        """Remove a component.

        Raises:
            ComponentError: there is none of that name, or it cannot be removed.
        """


def typed(value: Any) -> Any:
    """Return a document out of XML with its booleans as such."""
    if isinstance(value, dict):
        return {key: typed(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [typed(each) for each in value]
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def as_list(value: Any) -> list[Any]:
    """Return what may come once or many times as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
