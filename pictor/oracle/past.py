"""The report before: on the chain by its root, and with all its standings in its archive."""

from collections.abc import Iterator
from contextlib import contextmanager

from pictor.chain.contracts import PostedReport, ScoreRegistry
from pictor.epoch.archive import Archive, open_archive
from pictor.epoch.manifest import ArchiveError, WrongHashError
from pictor.oracle.mailbox import Mailbox


def last_report(registry: ScoreRegistry, epoch: int) -> PostedReport | None:
    """The newest report before `epoch` that is not void, as far as the registry remembers it."""
    for posted in (registry.pending_report(), registry.active_report()):
        if posted is not None and posted.epoch < epoch:
            return posted
    return None


@contextmanager
def archive_of(posted: PostedReport, mailbox: Mailbox, archives: str) -> Iterator[Archive]:
    """The archive of a report. Raises the kinds of ArchiveError."""
    proposal = mailbox.proposal(posted.epoch)
    if proposal is None or proposal.archive is None:
        raise ArchiveError(f"epoch {posted.epoch}: nothing in the mailbox names its archive")
    archive_hash, name = proposal.archive
    with open_archive(f"{archives.rstrip('/')}/{name}", archive_hash) as archive:
        if archive.statement.epoch != posted.epoch or archive.statement.root != posted.root:
            raise WrongHashError(f"epoch {posted.epoch}: its archive has root 0x{archive.statement.root.hex()}, its report another")
        yield archive
