"""What DOCX and PPTX have in common: relationships between parts, document properties, local XML names."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element

from ingest.parsing import dates
from ingest.parsing.containers import ZipContainer

_PLACEHOLDER_TITLES = frozenset({"powerpoint presentation", "presentation", "word document", "document"})


@dataclass(frozen=True, slots=True)
class Properties:
    """Title and date of last change that the file states about itself."""

    title: str | None
    modified: date | None


def local(tag: object) -> str:
    """An element's name without its namespace; empty for comments and processing instructions."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """An attribute by its local name, whichever namespace (transitional or strict) the file uses."""
    return next((value for key, value in element.attrib.items() if local(key) == name), None)


def child(element: Element | None, *path: str) -> Element | None:
    """The first descendant along a path of local names, or None."""
    for name in path:
        if element is None:
            return None
        element = next((one for one in element if local(one.tag) == name), None)
    return element


def value(element: Element | None, *path: str) -> str | None:
    """The `val` attribute of the element at the end of a path of local names."""
    found = child(element, *path)
    return None if found is None else attribute(found, "val")


def relationships(container: ZipContainer, part: str) -> dict[str, tuple[str, str]]:
    """For each relationship id of a part: its kind (last word of its type) and the name of the part it points
    to.
    """
    folder, name = posixpath.split(part)
    root = container.read_xml(posixpath.join(folder, "_rels", f"{name}.rels"))
    found = {}
    for one in root if root is not None else ():
        target = one.get("Target", "")
        path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        found[one.get("Id", "")] = (one.get("Type", "").rpartition("/")[2], path)
    return found


def related(container: ZipContainer, part: str, kind: str) -> list[str]:
    """Names of the parts of one kind that a part points to and that exist."""
    targets = relationships(container, part).values()
    return [path for its_kind, path in targets if its_kind == kind and path in container.names]


def main_part(container: ZipContainer, default: str) -> str:
    """The part that holds the document itself."""
    return next(iter(related(container, "", "officeDocument")), default)


def properties(container: ZipContainer) -> Properties:
    """The core properties; a title that only names the program's kind of file counts as none."""
    root = container.read_xml("docProps/core.xml")
    title = child(root, "title")
    modified = child(root, "modified")
    text = (title.text or "").strip() if title is not None else ""
    return Properties(
        title=None if text.lower() in _PLACEHOLDER_TITLES else text or None,
        modified=dates.parse_date(modified.text if modified is not None else None),
    )
