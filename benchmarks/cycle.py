"""A whole cycle of the oracle for a million members: from a closed epoch to the transaction sent, on a chain of its own.

Rollups are up to date and the passes' events were read before, as on every day. A million passes were never issued there: the file of
what was read is written, and the contract's counters are set, as if they had been. Attestors sign elsewhere: their work is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from eth_utils.address import to_checksum_address

from benchmarks.measure import GIB, Figure, fresh
from benchmarks.scoring import EPOCH, all_hold, make_rollups
from pictor.activity.ledger import Ledger
from pictor.activity.rollups import Rollups
from pictor.chain import Chain, Deployment, LocalSigner
from pictor.chain.anvil import anvil
from pictor.chain.contracts import State
from pictor.chain.deploy import DEPLOYED, Deployer, parse_config
from pictor.chain.sender import JournalledSender
from pictor.oracle.cycle import Cycle, Outcome
from pictor.oracle.mailbox import Mailbox, Signatures
from pictor.oracle.passes import Passes, keep
from pictor.oracle.view import View
from pictor.policy import DEFAULT_PATH
from pictor.scoring import score_epoch
from pictor.units import DAY
from scripts._ape import artifacts
from scripts._stage import key, named, tell, test_account

ORACLE, DEPLOYER, ATTESTORS = 0, 7, (1, 2, 3)
ISSUE_LIMIT = 12_345  # to be found again in the contract's storage


def figures(quick: bool) -> Iterator[Figure]:
    """The cycle's two halves, before and after the attestors have signed."""
    members = 100_000 if quick else 1_000_000
    with TemporaryDirectory() as scratch, anvil("--timestamp", str(EPOCH * DAY - DAY // 2), "--slots-in-an-epoch", "1") as url:
        folder = Path(scratch)
        prepare(folder, url, members)
        proposing = fresh(propose, folder, url)
        sign(folder, url)
        posting = fresh(post, folder, url)
        chain = Chain.connect(url)
        registry = Deployment.load(folder / "deployments", chain.id).gateways(chain, chain.block()).registry
        [posted] = registry.events(0, "Submitted")
        gas = chain.web3.eth.get_transaction_receipt(posted.transaction)["gasUsed"]  # type: ignore[arg-type]
    cycle = f"a cycle for {members:,} members"
    yield Figure(f"{cycle}: computed, archived, proposed; signatures checked, sent", proposing.seconds + posting.seconds, "s", at_most=15)
    yield Figure("  until it was proposed", proposing.seconds, "s")
    yield Figure("  memory", max(proposing.peak, posting.peak) / GIB, "GiB", at_most=4)
    yield Figure("  gas of its report, the first of all", gas, "gas")


def prepare(folder: Path, url: str, members: int) -> None:
    """A deployment whose passes are held by all members, and rollups of their activity; the epoch before has been scored."""
    chain = Chain.connect(url)
    config = parse_config(
        {
            "chain_id": chain.id,
            "attestors": [test_account(number) for number in ATTESTORS],
            "threshold": 2,
            "admin": named("admin"),
            "admin_delay": DAY,
            "governors": [named("governor")],
            "governor_delay": DAY,
            "guardians": [named("guardian")],
            "issue_limit": ISSUE_LIMIT,
            "epoch_length": DAY,
            "activation_delay": DAY // 4,
            "priority_share": 1_000,
        }
    )
    deployer = Deployer(chain, config, artifacts(DEPLOYED), test_account(DEPLOYER), folder / "deployments")
    deployment = deployer.run(LocalSigner(key(DEPLOYER)), deployer.rehearse(), lambda *_: None)
    vip_pass = to_checksum_address(deployment.contracts["VIPPass"].address)
    slots = {number: int.from_bytes(chain.web3.eth.get_storage_at(vip_pass, number), "big") for number in range(16)}
    [(slot, counters)] = [(number, value) for number, value in slots.items() if value >> 128 & 0xFFFF_FFFF == ISSUE_LIMIT]
    half = members // 2
    counters |= half | half << 32 | half << 64 | half << 96
    tell(chain, "anvil_setStorageAt", vip_pass, hex(slot), f"0x{counters:064x}")
    make_rollups(folder, members, 31)
    rollups = Rollups.open(Ledger.open(folder / "ledger"), folder / "ledger" / "cache" / "rollups")
    holders = all_hold(members)
    view = party(folder, url)
    score_epoch(rollups, view.policies.at(EPOCH - 1), EPOCH - 1, holders)
    columns = {"state": pa.array([int(State.HELD)] * members, pa.int8()), "revoked": pa.array([False] * members)}
    table = pa.table({"account": holders["account"], "role": holders["role"], **columns, "issued_at": holders["issued_at"]})
    tell(chain, "anvil_mine", "0x4")
    keep(folder / "state" / "passes.parquet", Passes(chain.block("finalized"), table), view.contracts().vip_pass)
    tell(chain, "evm_setNextBlockTimestamp", EPOCH * DAY + 3_600)
    tell(chain, "anvil_mine", "0x4")


def party(folder: Path, url: str) -> View:
    """The oracle's view."""
    chain = Chain.connect(url)
    rules = DEFAULT_PATH.read_text().replace('sync = "prioritized"', 'sync = "none"')
    rollups = folder / "state" / "rollups"
    if not rollups.exists():
        rollups.parent.mkdir(exist_ok=True)
        rollups.symlink_to(folder / "ledger" / "cache" / "rollups")
    deployment = Deployment.load(folder / "deployments", chain.id)
    return View.open(deployment, chain, {chain.id: chain}, Ledger.open(folder / "ledger"), rules, folder / "state")


def cycle(folder: Path, url: str) -> Outcome:
    """One cycle; what it came to."""
    view = party(folder, url)
    sender = JournalledSender(view.chain, LocalSigner(key(ORACLE)), folder / "state" / "sender")
    return Cycle(view, Mailbox.open(folder / "mailbox", view.registry), str(folder / "archives"), sender).run().outcome


def propose(folder: Path, url: str) -> None:
    """The first half."""
    expect(cycle(folder, url), Outcome.AWAITING_SIGNATURES)


def post(folder: Path, url: str) -> None:
    """The second half."""
    expect(cycle(folder, url), Outcome.POSTED)


def expect(found: Outcome, expected: Outcome) -> None:
    """Raises RuntimeError if a cycle came to something else."""
    if found is not expected:
        raise RuntimeError(f"the cycle came to {found.name}, not to {expected.name}")


def sign(folder: Path, url: str) -> None:
    """What the attestors leave."""
    from pictor.epoch.archive import open_archive

    view = party(folder, url)
    mailbox = Mailbox.open(folder / "mailbox", view.registry)
    proposal = mailbox.proposal(EPOCH)
    if proposal is None or proposal.archive is None:
        raise RuntimeError("there is no proposal")
    with open_archive(folder / "archives" / proposal.archive[1]) as archive:
        report = archive.report
    for number in ATTESTORS[:2]:
        signature = bytes(key(number).sign_message(report.signable(view.registry)).signature)
        signer = bytes.fromhex(test_account(number)[2:])
        mailbox.sign(EPOCH, Signatures(signer, proposal.hash, {report.digest(view.registry): signature}))
