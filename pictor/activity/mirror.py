"""Copying a ledger: each entry is checked before it is taken, and a past that was rewritten is noticed."""

from collections.abc import Callable

from pictor.activity.audit import Trail, check_batch
from pictor.activity.ledger import BrokenLedgerError, Entry, Ledger, Position, batch_name


class RewrittenPastError(BrokenLedgerError):
    """The source no longer says what this mirror has seen it say."""


def mirror(source: Ledger, target: Ledger, stop: Position | None = None, progress: Callable[[int], None] = lambda _: None) -> Position:
    """Bring `target` up to `stop` (default: the head of `source`), entry by entry, and return its new head.

    Nothing is taken from a source whose entries differ from those already here (RewrittenPastError), nor an entry that is not what it
    says (BrokenLedgerError, with the first fault). A killed mirror goes on where it stopped. Raises LedgerBusyError.
    """
    with target.writing():
        mine = target.head()
        compare(source, target, mine)
        theirs = source.locate(str(stop)) if stop else source.head()
        trail = _trail_at(target, mine)
        for number in range(mine.number + 1, theirs.number + 1):
            entry = source.entry(number)
            _take(source, target, entry, trail)
            progress(1)
        return target.head()


def compare(source: Ledger, target: Ledger, mine: Position) -> None:
    """Raises RewrittenPastError, naming the first entry that differs, unless `source` still says what `target` holds up to `mine`."""
    there = source.head()
    if there.number < mine.number:
        raise RewrittenPastError(f"{source.storage.root}: ends with entry {there.number}, but this mirror has seen entry {mine.number}")
    if source.position(mine.number) == mine:
        return
    low, high = 0, mine.number  # the chains agree at low and differ at high
    while high - low > 1:
        middle = (low + high) // 2
        if source.position(middle) == target.position(middle):
            low = middle
        else:
            high = middle
    raise RewrittenPastError(f"{source.storage.root}: entry {high} was rewritten: this mirror has seen {target.position(high).hash}")


def _trail_at(target: Ledger, position: Position) -> Trail:
    if position.number == 0:
        return Trail(position)
    last = target.entry(position.number)
    return Trail(position, last.received_at, last.latest_at)


def _take(source: Ledger, target: Ledger, entry: Entry, trail: Trail) -> None:
    for fault in trail.follow(entry):
        raise BrokenLedgerError(f"{source.storage.root}: entry {entry.number} {fault}")
    if entry.sha256 is not None:
        partial = target.storage.partial()
        try:
            partial.write_bytes(source.batch(entry))
            for fault in check_batch(entry, partial):
                raise BrokenLedgerError(f"{source.storage.root}: entry {entry.number}: {fault}")
            target.storage.adopt(batch_name(entry.sha256), partial)
        finally:
            partial.unlink(missing_ok=True)
    target.chain(entry)
