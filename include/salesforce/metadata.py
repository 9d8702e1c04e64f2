"""The definition of the org: read whole, changed by deploys that happen completely or not at all.

A deploy is what Salesforce's own tools do, so everything that this project installs can also be
installed with them: see `source`.
"""

import base64
import io
import logging
import re
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from include.salesforce import soap
from include.salesforce.errors import DeployFailedError, DeployUnfinishedError
from include.salesforce.session import SalesforceSession
from include.salesforce.soap import Element, element, leaf, text_of

log = logging.getLogger(__name__)

READ_PER_CALL: Final = 10
_FOLDERS: Final = {"CustomObject": ("objects", "object"), "Layout": ("layouts", "layout")}
_ADDRESS: Final = re.compile(r"[^\s'\"]+@[^\s'\"]+")
_MOST_PROBLEMS: Final = 5


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a deploy is waited for, in seconds; it may queue behind those of other people."""

    first: float = 0.5
    factor: float = 1.5
    longest: float = 10.0
    deadline: float = 1200.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Component:
    """One component to deploy.

    Attributes:
        kind: `CustomObject` or `Layout`.
        full_name: as Salesforce spells it.
        content: its root element, without `fullName`.
        members: what of it the package names, by kind; a field is named, its object is not.
    """

    kind: str
    full_name: str
    content: Element
    members: Mapping[str, Sequence[str]]


class MetadataApi:
    """The Metadata API through one session."""

    def __init__(self, session: SalesforceSession, waiting: Waiting = Waiting()) -> None:
        self._session = session
        self._waiting = waiting

    def read(self, kind: str, full_names: Sequence[str]) -> dict[str, Element]:
        """Return components by full name; one that does not exist is absent.

        Raises:
            MissingPermissionError: the user may not use the Metadata API.
        """
        found: dict[str, Element] = {}
        for start in range(0, len(full_names), READ_PER_CALL):
            names = [leaf("fullNames", name) for name in full_names[start : start + READ_PER_CALL]]
            arguments = [leaf("type", kind), *names]
            for result in soap.call(self._session, "readMetadata", arguments, repeatable=True):
                records = result.findall(soap.tag("records"))
                # a name that nothing has comes as an empty or null record:
                # https://github.com/certinia/apex-mdapi/issues/91
                found |= {name: each for each in records if (name := text_of(each, "fullName"))}
        return found

    def names(self, kind: str) -> list[str]:
        """Return the full names of all components of a kind, in order."""
        query = element("queries", leaf("type", kind))
        version = leaf("asOfVersion", self._session.api_version)
        found = soap.call(self._session, "listMetadata", [query, version], repeatable=True)
        return sorted(name for each in found if (name := text_of(each, "fullName")))

    def deploy(self, components: Sequence[Component]) -> None:
        """Make or change components: all of them, or nothing.

        Not sent again when the answer is lost: the change may have been made, and somebody may have
        changed it since. Whoever calls looks again.

        Raises:
            DeployFailedError: Salesforce refused it; the message says why.
            DeployUnfinishedError: it was not finished in time; it may still be.
            MissingPermissionError: the user may not use the Metadata API.
        """
        options = element(
            "DeployOptions",
            *(leaf(name, True) for name in ("rollbackOnError", "singlePackage")),
        )
        archive = base64.b64encode(archived(components, self._session.api_version)).decode()
        (started,) = soap.call(
            self._session, "deploy", [leaf("ZipFile", archive), options], repeatable=False
        )
        deploy_id = text_of(started, "id") or ""
        log.info("Salesforce deploy %s: %d components", deploy_id, len(components))
        _refuse_failure(self._ended(deploy_id))

    def _ended(self, deploy_id: str) -> Element:
        waiting, pause = self._waiting, self._waiting.first
        until = waiting.clock() + waiting.deadline
        arguments = [leaf("asyncProcessId", deploy_id), leaf("includeDetails", True)]
        while True:
            (result,) = soap.call(self._session, "checkDeployStatus", arguments, repeatable=True)
            if text_of(result, "done") == "true":
                return result
            if waiting.clock() >= until:
                raise DeployUnfinishedError(
                    f"Salesforce has not finished deploy {deploy_id}: look at Setup > Environments "
                    "> Deploy > Deployment Status; the next try looks at what it did"
                )
            waiting.sleep(pause)
            pause = min(pause * waiting.factor, waiting.longest)


def archived(components: Sequence[Component], api_version: str) -> bytes:
    """Return the archive of a deploy: the components and the package that names them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("package.xml", document(_package(components, api_version)))
        for each in components:
            folder, ending = _FOLDERS[each.kind]
            archive.writestr(f"{folder}/{each.full_name}.{ending}", document(each.content))
    return buffer.getvalue()


def document(root: Element) -> bytes:
    """Return an element as a file: indented by four, as Salesforce's own tools do."""
    copied = ET.fromstring(ET.tostring(root))  # noqa: S314  ours
    ET.indent(copied, "    ")
    text: bytes = ET.tostring(
        copied, encoding="UTF-8", xml_declaration=True, default_namespace=soap.NAMESPACE
    )
    return text.replace(b"<?xml version='1.0' encoding='UTF-8'?>", _DECLARATION, 1) + b"\n"


_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>'


def _package(components: Sequence[Component], api_version: str) -> Element:
    members: dict[str, list[str]] = {}
    for each in components:
        for kind, names in each.members.items():
            members.setdefault(kind, []).extend(names)
    types = (
        element("types", *(leaf("members", name) for name in names), leaf("name", kind))
        for kind, names in members.items()
    )
    return element("Package", *types, leaf("version", api_version))


def _refuse_failure(result: Element) -> None:
    if text_of(result, "success") == "true":
        return
    failures = result.findall(f"{soap.tag('details')}/{soap.tag('componentFailures')}")
    problems = [_problem(each) for each in failures[:_MOST_PROBLEMS]]
    reason = "; ".join(problems) or _ADDRESS.sub("(…)", text_of(result, "errorMessage") or "")
    raise DeployFailedError(
        f"Salesforce refused the change, nothing of it was made: {reason or 'no reason given'}"
    )


def _problem(failure: Element) -> str:
    name, problem = text_of(failure, "fullName"), text_of(failure, "problem") or "no reason given"
    return f"{name}: {_ADDRESS.sub('(…)', problem)}"
