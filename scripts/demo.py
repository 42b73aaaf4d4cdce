"""`ape run demo`: the system in a minute: a chain, a deployment, passes, a report, and what any wallet can read then."""

import base64
import csv
import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import numpy as np
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from web3.types import RPCEndpoint

from pictor.chain import Call, Chain, Contracts, LocalSigner, send
from pictor.chain.anvil import anvil
from pictor.chain.deploy import DEPLOYED, Deployer, parse_config
from pictor.chain.status import read_status
from pictor.epoch.messages import Domain, Issuance, Message, Report, join_signatures
from pictor.epoch.standings import Leaves, Standing
from pictor.epoch.tree import pass_words
from pictor.policy import load_policies
from pictor.units import (
    DAY,
    MICRO,
    Address,
    Role,
    format_micro,
    last_ended_epoch,
    parse_address,
    prioritized_count,
    split_pass_id,
    to_checksum,
)
from scripts._ape import artifacts

START = 1_780_228_800  # 2026-05-31 12:00 UTC: the demo's chain starts here, so that every run is the same to the last byte
CREATORS, WORKERS = 30, 45
ATTESTORS, THRESHOLD = 5, 3


def key(name: str) -> LocalAccount:
    """The account of somebody in this play."""
    account: LocalAccount = Account.from_key(keccak(text=f"pictor demo: {name}"))
    return account


def address(name: str) -> Address:
    """Their address."""
    return parse_address(key(name).address)


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"), show_default=True, help="Emptied first.")
def cli(out: Path) -> None:
    """Deploy on a local chain, issue passes, post a report signed 3 of 5, and print what any wallet can now read."""
    if out.exists() and any(out.iterdir()) and not (out / "standings.csv").exists():
        raise click.ClickException(f"{out} holds something else than a demo's output")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)

    title("A chain of our own")
    with anvil("--timestamp", str(START)) as url:
        chain = Chain.connect(url)
        tell(chain, "anvil_setBlockTimestampInterval", 1)  # a second for each block, whatever the clock on the wall says
        oracle = LocalSigner(key("oracle"))
        for account in (oracle.address, address("deployer")):
            tell(chain, "anvil_setBalance", to_checksum(account), hex(10**20))
        say(f"anvil, chain {chain.id}")

        title("Deployment")
        contracts = deploy(chain, out)

        title("Passes, for who has earned one")
        members = {
            Role.CREATOR: [address(f"creator {i}") for i in range(CREATORS)],
            Role.WORKER: [address(f"worker {i}") for i in range(WORKERS)],
        }
        for role, accounts in members.items():
            issuance = Issuance(role, tuple(sorted(accounts)), deadline=START + DAY)
            signature = attest(issuance, contracts, contracts.vip_pass.issuance_digest(issuance))
            gas = carry(chain, oracle, contracts.vip_pass.issue(issuance, signature))
            say(f"{len(accounts)} {role.name.lower()}s, {gas // len(accounts):,} gas each")

        title("The scores of an epoch")
        at_midnight = START + DAY // 2
        travel(chain, at_midnight)
        epoch = last_ended_epoch(at_midnight, contracts.registry.epoch_length())
        leaves = ranked(members)
        tree = leaves.tree()
        with (out / "standings.csv").open("w") as file:
            table = csv.writer(file)
            table.writerow(["pass", "score", "rank"])
            table.writerows([hex(one.pass_id), one.score, one.rank] for one in map(leaves.standing, range(len(leaves))))
        policy_hash = load_policies().at(epoch).hash()
        archive_hash = sha256((out / "standings.csv").read_bytes()).digest()
        report = Report(epoch, tree.root, policy_hash, archive_hash, leaves.creators, len(leaves) - leaves.creators)
        signature = attest(report, contracts, contracts.registry.report_digest(report))
        gas = carry(chain, oracle, contracts.registry.submit(report, signature))
        say(f"epoch {epoch}, {len(leaves)} standings, root 0x{tree.root.hex()}")
        say(f"posted with {THRESHOLD} of {ATTESTORS} signatures in one transaction: {gas:,} gas, however many members there are")

        best = [leaves.number(role, rank) for role in Role for rank in range(1, prioritized_count(len(members[role]), 1_000) + 1)]
        proof = tree.multiproof(best)
        gas = carry(chain, oracle, contracts.registry.sync(epoch, [leaves.standing(k) for k in proof.leaves], proof.proof, proof.flags))
        say(f"the best {len(best)} copied into storage by one proof: {gas // len(best):,} gas each")

        title("Until the delay is over, anybody can challenge and a guardian can veto")
        first = leaves.standing(leaves.number(Role.CREATOR, 1))
        winner = owner(first)
        contracts = contracts.at(chain.block())
        say(f"now: {to_checksum(winner)} is {'' if contracts.registry.is_prioritized(winner, Role.CREATOR) else 'not '}prioritised")
        travel(chain, contracts.block.timestamp + contracts.registry.activation_delay())
        contracts = contracts.at(chain.block())
        hours = contracts.registry.activation_delay() // 3600
        say(f"{hours} h later: it is {'' if contracts.registry.is_prioritized(winner, Role.CREATOR) else 'not '}prioritised")

        title("What any wallet can now read: stored standings, by `ape run status`")
        middle = leaves.standing(leaves.number(Role.WORKER, 20))
        for wallet in (winner, owner(leaves.standing(leaves.number(Role.WORKER, 1))), owner(middle), address("a stranger")):
            for line in read_status(contracts, wallet).lines():
                say(line)
            say("")

        title("… and all others, by proof")
        for rank in (1, prioritized_count(WORKERS, 1_000), prioritized_count(WORKERS, 1_000) + 1):
            number = leaves.number(Role.WORKER, rank)
            one, way = leaves.standing(number), tree.proof(number)
            answer = contracts.registry.is_prioritized_by_proof(one, way)
            say(f"worker {to_checksum(owner(one))}, rank {rank}, score {format_micro(one.score)}: isPrioritized {answer}")
        forged = Standing(middle.pass_id, 10 * middle.score, 1)
        answer = contracts.registry.is_prioritized_by_proof(forged, tree.proof(leaves.number(Role.WORKER, 20)))
        say(f"worker {to_checksum(owner(middle))}, who says that its rank is 1: isPrioritized {answer}")

        title("What a pass looks like")
        for standing in (first, middle):
            say(f"saved {save_art(contracts, standing, out)}")


def deploy(chain: Chain, out: Path) -> Contracts:
    """The contracts, deployed as on any other chain; see docs/operating.md."""
    config = parse_config(
        {
            "chain_id": chain.id,
            "attestors": [address(f"attestor {i}") for i in range(ATTESTORS)],
            "threshold": THRESHOLD,
            "admin": address("admin"),
            "admin_delay": 7 * DAY,
            "governors": [address("governor")],
            "governor_delay": 2 * DAY,
            "guardians": [address("guardian")],
            "issue_limit": 1_000,
            "epoch_length": DAY,
            "activation_delay": DAY // 4,
            "priority_share": 1_000,
        }
    )
    deployer = Deployer(chain, config, artifacts(DEPLOYED), address("deployer"), out / "deployments")
    deployment = deployer.run(LocalSigner(key("deployer")), deployer.rehearse(), lambda *_: None)
    for name, contract in deployment.contracts.items():
        say(f"{name:18} {to_checksum(contract.address)}")
    say("read back: code, roles, delays, committee and parameters are what was asked for, and the deployer has no power")
    return deployment.open(chain)


def ranked(members: dict[Role, list[Address]]) -> Leaves:
    """Standings with made-up scores: 100 points for the pass, and more or less for work."""
    rows: list[tuple[Role, Address, int, int]] = []
    for role, accounts in members.items():
        points = {account: 100 + int.from_bytes(keccak(hexstr=account)[:2]) % 5_000 for account in accounts}
        by_rank = sorted(accounts, key=lambda account: (-points[account], account))
        rows += [(role, account, points[account] * MICRO, rank) for rank, account in enumerate(by_rank, 1)]
    roles, accounts_, scores, ranks = zip(*rows, strict=True)
    bytes_ = np.array([list(bytes.fromhex(account[2:])) for account in accounts_], np.uint8)
    return Leaves(pass_words(np.array(roles), bytes_), np.array(scores), np.array(ranks, np.int32), len(members[Role.CREATOR]))


def attest(message: Message, contracts: Contracts, digest: bytes) -> bytes:
    """The committee's signature, by the first three attestors; the other two are asleep."""
    gateway = contracts.vip_pass if isinstance(message, Issuance) else contracts.registry
    domain = Domain(contracts.powers.chain.id, gateway.address)
    if message.digest(domain) != digest:
        raise click.ClickException(f"{gateway.NAME} has another digest of {message}")
    awake = [key(f"attestor {i}") for i in range(THRESHOLD)]
    return join_signatures({bytes.fromhex(one.address[2:]): bytes(one.sign_message(message.signable(domain)).signature) for one in awake})


def carry(chain: Chain, carrier: LocalSigner, call: Call) -> int:
    """Sends a call, and returns the gas that it took."""
    return send(chain, carrier, call)["gasUsed"]


def save_art(contracts: Contracts, standing: Standing, out: Path) -> Path:
    """The picture of a pass, as its token URI has it."""
    metadata: dict[str, Any] = json.loads(from_data_uri(contracts.vip_pass.token_uri(standing.pass_id)))
    path = out / f"pass-{to_checksum(owner(standing))}.svg"
    path.write_bytes(from_data_uri(metadata["image"]))
    return path


def from_data_uri(uri: str) -> bytes:
    """What a base64 data URI holds."""
    return base64.b64decode(uri.partition(";base64,")[2], validate=True)


def owner(standing: Standing) -> Address:
    """Whose a standing is: its pass id says it."""
    return split_pass_id(standing.pass_id)[1]


def tell(chain: Chain, method: str, *parameters: object) -> None:
    """What only a local chain does as it is told."""
    chain.web3.manager.request_blocking(RPCEndpoint(method), list(parameters))


def travel(chain: Chain, moment: int) -> None:
    """Makes it `moment` (Unix time) on a local chain."""
    tell(chain, "evm_setNextBlockTimestamp", moment)
    tell(chain, "evm_mine")


def title(text: str) -> None:
    """A line above what follows."""
    click.secho(f"\n{text}", bold=True)


def say(text: str) -> None:
    """A line."""
    click.echo(f"  {text}".rstrip())
