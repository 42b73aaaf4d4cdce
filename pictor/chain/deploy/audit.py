"""Reading a new deployment back: everything that was asked for is on the chain, and nothing else is."""

from collections.abc import Iterator, Mapping
from typing import Any

from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3.exceptions import ContractLogicError, TransactionNotFound

from pictor.chain.artifacts import Artifacts
from pictor.chain.contracts import FUNCTION_POWERS, Access, AttestorCommittee, Call, Contracts, Domain, Power, Powers
from pictor.chain.deploy.config import Committee, DeployConfig
from pictor.chain.deploy.plan import attestor_of, settings, verifier_of
from pictor.chain.deployments import Deployment
from pictor.chain.errors import ChainError, DeploymentError
from pictor.chain.interfaces import Interface, interface
from pictor.units import Address, to_checksum

Finding = tuple[str, Any, Any]  # what, as it should be, as it is

# A signature that a P-256 verifier must accept (RFC 6979, A.2.5: SHA-256 of "sample"; s is the smaller of the two).
P256_KEY = bytes.fromhex(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
P256_DIGEST = bytes.fromhex("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf")
P256_SIGNATURE = bytes.fromhex(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf37160834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9"
)

VERIFY = Interface(
    "ERC-7913 verifier",
    (
        {
            "type": "function",
            "name": "verify",
            "inputs": [{"name": "key", "type": "bytes"}, {"name": "hash", "type": "bytes32"}, {"name": "signature", "type": "bytes"}],
            "outputs": [{"name": "", "type": "bytes4"}],
            "stateMutability": "view",
        },
    ),
)


class MismatchError(DeploymentError):
    """What is on the chain is not what was asked for."""

    def __init__(self, findings: list[Finding]) -> None:
        found = "; ".join(f"{what} is {_text(found)}, not {_text(expected)}" for what, expected, found in findings)
        super().__init__(f"the chain does not have what was asked for: {found}")
        self.findings = findings


def audit(
    contracts: Contracts,
    deployment: Deployment,
    config: DeployConfig,
    deployer: Address,
    artifacts: Artifacts,
    creations: Mapping[str, Call],
) -> None:
    """Compares all that can be read of `contracts` with what was asked for. Raises MismatchError with every difference.

    `creations` are the transactions that were to create the contracts, by name.
    """
    findings = [
        (what, expected, found)
        for what, expected, found in [
            *_code(contracts, deployment, artifacts, creations),
            *_members(contracts.powers, config, deployer),
            *_functions(contracts),
            *_history(contracts.powers, deployment, config, deployer),
            *_parameters(contracts, deployment, config),
            *_committee(contracts.committee, deployment, config),
        ]
        if expected != found
    ]
    if findings:
        raise MismatchError(findings)


def _code(contracts: Contracts, deployment: Deployment, artifacts: Artifacts, creations: Mapping[str, Call]) -> Iterator[Finding]:
    """The transactions created what was compiled, with the arguments that were asked for."""
    chain, block = contracts.powers.chain, contracts.block
    for name, contract in deployment.contracts.items():
        code = chain.code(contract.address, block)
        if not artifacts[name].made(code):
            yield f"the code of {name}", keccak(artifacts[name].runtime), keccak(code)
        try:
            sent = bytes(chain.web3.eth.get_transaction(HexBytes(contract.transaction))["input"])
        except TransactionNotFound:
            sent = b""
        if sent != creations[name].data:
            yield f"the creation code of {name}", keccak(creations[name].data), keccak(sent)


def _members(powers: Powers, config: DeployConfig, deployer: Address) -> Iterator[Finding]:
    """Each has its power now, with its delay, and no change of that is on its way. The deployer is ADMIN no more."""
    delays = {(Power.ADMIN, config.admin): config.admin_delay}
    delays |= {(Power.GOVERNOR, governor): config.governor_delay for governor in config.governors}
    delays |= {(Power.GUARDIAN, guardian): 0 for guardian in config.guardians}
    for (power, account), delay in delays.items():
        access = powers.access(power, account)
        is_member = 0 < access.since <= powers.block.timestamp
        yield f"{power.name} of {to_checksum(account)}", (True, delay, 0, 0), (is_member, access.delay, access.pending_delay, access.effect)
    nothing = Access(since=0, delay=0, pending_delay=0, effect=0)  # type: ignore[arg-type]
    yield f"ADMIN of {to_checksum(deployer)}, who deployed", nothing, powers.access(Power.ADMIN, deployer)


def _functions(contracts: Contracts) -> Iterator[Finding]:
    """Every restricted function needs the role that it should. That no other has one, the history of Powers tells."""
    powers = contracts.powers
    for name, gateway in contracts.by_name().items():
        if name in FUNCTION_POWERS:
            for power, functions in FUNCTION_POWERS[name].items():
                for function in functions:
                    selector = interface(name).selector(function)
                    yield f"the role of {name}.{function}", int(power), powers.function_role(gateway.address, selector)
            yield f"the authority of {name}", powers.address, Address(gateway.read("authority"))
        yield f"{name} closed by Powers", False, powers.read("isTargetClosed", gateway.address)
        yield f"the ADMIN delay of {name}", 0, powers.read("getTargetAdminDelay", gateway.address)
    yield "the role that can cancel GOVERNOR's operations", int(Power.GUARDIAN), powers.role_guardian(Power.GOVERNOR)
    yield "the role that can cancel GUARDIAN's operations", int(Power.ADMIN), powers.role_guardian(Power.GUARDIAN)
    for power in (Power.GOVERNOR, Power.GUARDIAN):
        yield f"the role that grants {power.name}", int(Power.ADMIN), powers.role_admin(power)
        yield f"the grant delay of {power.name}", 0, powers.read("getRoleGrantDelay", power)


def _history(powers: Powers, deployment: Deployment, config: DeployConfig, deployer: Address) -> Iterator[Finding]:
    """Powers was told what it was to be told, once, and nothing else: no other member, no change that is yet to come in force."""
    made = {name: contract.address for name, contract in deployment.contracts.items()}
    expected = [("RoleGranted", int(Power.ADMIN), deployer, 0)]
    for function, arguments in settings(config, deployer, made):
        expected += _told(function, arguments)
    found = [(event.name, *_essence(event.name, event.arguments)) for event in powers.events(deployment.contracts["Powers"].block)]
    yield "what Powers was told beside what was asked for", [], [one for one in found if one not in expected]
    yield "what Powers was not told", [], [one for one in expected if one not in found]


def _told(function: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The events of one of `settings`, each with the arguments that matter."""
    first, second, *rest = arguments
    match function:
        case "setTargetFunctionRole":
            return [("TargetFunctionRoleUpdated", first, selector, int(rest[0])) for selector in second]
        case "labelRole":
            return [("RoleLabel", int(first), second)]
        case "setRoleGuardian":
            return [("RoleGuardianChanged", int(first), int(second))]
        case "grantRole":
            return [("RoleGranted", int(first), second, *rest)]
        case "renounceRole":
            return [("RoleRevoked", int(first), second)]
    raise ValueError(function)


def _essence(event: str, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    """An event's arguments, less those that follow from the moment."""
    values = tuple(arguments.values())
    return values[:3] if event == "RoleGranted" else values


def _parameters(contracts: Contracts, deployment: Deployment, config: DeployConfig) -> Iterator[Finding]:
    """The passes and the registry know each other, the art and the attestor, and have the numbers that were asked for."""
    vip_pass, registry = contracts.vip_pass, contracts.registry
    chain_id = contracts.powers.chain.id
    attestor = attestor_of(config, {name: contract.address for name, contract in deployment.contracts.items()})
    yield "the attestor of VIPPass", attestor, vip_pass.attestor()
    yield "the art of VIPPass", contracts.art.address, vip_pass.art()
    yield "the issue limit", config.issue_limit, vip_pass.issue_limit()
    yield "VIPPass paused", False, vip_pass.paused()
    yield "the domain of VIPPass", Domain("Pictor VIP Pass", "1", chain_id, vip_pass.address), vip_pass.domain()
    yield "the attestor of ScoreRegistry", attestor, registry.attestor()
    yield "the passes of ScoreRegistry", vip_pass.address, registry.vip_pass()
    yield "the epoch length", config.epoch_length, registry.epoch_length()
    yield "the activation delay", config.activation_delay, registry.activation_delay()
    yield "the priority share", config.priority_share, registry.priority_share()
    yield "ScoreRegistry paused", False, registry.paused()
    yield "the domain of ScoreRegistry", Domain("Pictor Score Registry", "1", chain_id, registry.address), registry.domain()
    try:
        shown = vip_pass.contract_uri()[:5]
    except ChainError as error:
        shown = str(error)
    yield "what the collection's metadata begins with", "data:", shown


def _committee(committee: AttestorCommittee | None, deployment: Deployment, config: DeployConfig) -> Iterator[Finding]:
    """Signers and threshold, and a verifier of P-256 keys that tells right from wrong."""
    if committee is None or not isinstance(config.attestor, Committee):
        return
    verifier = verifier_of(config.attestor, {name: contract.address for name, contract in deployment.contracts.items()})
    yield "the signers of the committee", frozenset(config.attestor.signers(verifier)), committee.signers()
    yield "the threshold of the committee", config.attestor.threshold, committee.threshold()
    if verifier and config.attestor.p256_keys:
        wrong = bytes([P256_DIGEST[0] ^ 1]) + P256_DIGEST[1:]
        name = f"what the P-256 verifier {to_checksum(verifier)} says of"
        yield f"{name} a right signature", True, _verifies(committee, verifier, P256_DIGEST)
        yield f"{name} a wrong signature", False, _verifies(committee, verifier, wrong)


def _verifies(committee: AttestorCommittee, verifier: Address, digest: bytes) -> bool:
    """Whether an ERC-7913 verifier takes the known signature for one of `digest`."""
    data = VERIFY.encode("verify", P256_KEY, digest, P256_SIGNATURE)
    try:
        answer = committee.chain.web3.eth.call({"to": to_checksum(verifier), "data": HexBytes(data)}, HexBytes(committee.block.hash))
    except ContractLogicError:
        return False
    return bytes(answer)[:4] == VERIFY.selector("verify")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, frozenset):
        return ", ".join(sorted(_text(one) for one in value)) or "nobody"
    if isinstance(value, list | tuple):
        return f"({', '.join(_text(one) for one in value)})"
    return str(value)
