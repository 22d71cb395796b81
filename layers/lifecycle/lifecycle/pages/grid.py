"""Which broker leads and follows which partition, as a table of partitions by brokers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.pages.markup import Html, tag
from lifecycle.pages.parts import scrolled
from lifecycle.pages.read import part, parts, shown, text, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LETTERS: Final[Mapping[str, str]] = {"leader": "L", "follower": "F", "inactive": "I"}
# States of a replica, or of its broker, in which it comes or goes.
_MOVES: Final = frozenset({"JOINING", "LEAVING", "LEARNER", "RECOVERING"})
_ILL: Final = frozenset({"unhealthy", "dead"})
LEGEND: Final = (
    ("leader", "L", "leads"),
    ("follower", "F", "follows"),
    ("moving", "F+", "joins or leaves"),
    ("ill", "L!", "unhealthy or dead"),
    ("unseen", "?", "role not seen"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A partition on a broker. ``state`` is that of the replica in Camunda's configuration."""

    role: str
    health: str = ""
    state: str = ""

    @property
    def kind(self) -> str:
        """How it is drawn; the letter and its sign carry the same."""
        if self.health in _ILL:
            return "ill"
        if self.state in _MOVES:
            return "moving"
        return self.role if self.role in {"leader", "follower"} else "unseen"

    @property
    def letter(self) -> str:
        """The role in a letter, with a sign for what is not usual."""
        letter = _LETTERS.get(self.role, "?")
        return letter + {"ill": "!", "moving": "+"}.get(self.kind, "")

    @property
    def words(self) -> str:
        """All of it in words, for those who hear the page."""
        return ", ".join(
            filter(None, (self.role or "role not seen", self.health, self.state.lower()))
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """Partitions by brokers at one moment."""

    title: str
    brokers: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]

    @property
    def partitions(self) -> list[str]:
        """Partitions in the order of their numbers."""
        return sorted({partition for partition, _ in self.cells}, key=_order)


def of_topology(title: str, rows: Iterable[Mapping[str, Any]]) -> Grid | None:
    """Read rows of ``camunda.topology.topology_table``; None where they hold no broker."""
    brokers: list[str] = []
    cells: dict[tuple[str, str], Cell] = {}
    for row in rows:
        broker = shown(row.get("broker"))
        brokers.append(broker)
        moves = text(row, "state") if text(row, "state") in _MOVES else ""
        for partition in part(row, "partitions"):
            seen = part(part(row, "partitions"), partition)
            cells[shown(partition), broker] = Cell(
                text(seen, "role"), text(seen, "health"), text(seen, "state") or moves
            )
    return Grid(title, tuple(sorted(set(brokers), key=_order)), cells) if brokers else None


def of_placement(title: str, placed: Mapping[str, Any], idle: Iterable[object] = ()) -> Grid | None:
    """Read a plan's placement: brokers by partition, the first of them leads.

    ``idle`` are brokers without a partition. None where there is neither.
    """
    cells = {
        (shown(partition), shown(broker)): Cell("follower" if n else "leader")
        for partition in placed
        for n, broker in enumerate(values(placed, partition))
    }
    brokers = {broker for _, broker in cells} | {shown(one) for one in idle}
    return Grid(title, tuple(sorted(brokers, key=_order)), cells) if brokers else None


def drawn(grids: Sequence[Grid | None], legend: Iterable[str] | None = None) -> Html:
    """Return grids beside each other with a legend of what they hold; nothing for none."""
    known = [one for one in grids if one is not None]
    if not known:
        return Html("")
    kinds = {cell.kind for one in known for cell in one.cells.values()}
    wanted = kinds if legend is None else set(legend)
    signs = [
        tag("li", tag("span", letter, class_=f"cell {kind}"), meaning)
        for kind, letter, meaning in LEGEND
        if kind in wanted
    ]
    return tag(
        "div",
        tag("div", [_one(one) for one in known], class_="grids"),
        tag("ul", signs, class_="legend") if signs else None,
    )


def _one(grid: Grid) -> Html:
    head = [tag("th", tag("span", "Partition", class_="hidden"), scope="col")]
    head += [tag("th", f"Broker {broker}", scope="col") for broker in grid.brokers]
    lines = [
        tag(
            "tr",
            tag("th", f"Partition {partition}", scope="row"),
            [tag("td", _cell(grid.cells.get((partition, broker)))) for broker in grid.brokers],
        )
        for partition in grid.partitions
    ]
    inner = tag(
        "table",
        tag("caption", grid.title),
        tag("thead", tag("tr", head)),
        tag("tbody", lines),
        class_="grid",
    )
    return scrolled(f"Partitions by brokers: {grid.title}", inner)


def _cell(cell: Cell | None) -> Html:
    if cell is None:
        return tag("span", "none", class_="hidden")
    return tag(
        "span",
        tag("span", cell.letter, aria_hidden="true"),
        tag("span", cell.words, class_="hidden"),
        class_=f"cell {cell.kind}",
    )


def _order(name: str) -> tuple[int, int, str]:
    """Numbers by their value, before any other name."""
    digits = name.isascii() and name.isdigit() and len(name) < 10
    return (0, int(name), "") if digits else (1, 0, name)


def rows_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows of a topology that was noted."""
    return parts(document, "brokers")
