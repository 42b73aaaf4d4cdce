"""What can go wrong between this machine and the contracts: one type for each outcome, with the values that tell why."""

from typing import Any

from pictor.units import Address, ether, gwei, to_checksum


class ChainError(Exception):
    """Something about a chain, a contract or a transaction is not as it must be. The message is one clear line."""


class WrongChainError(ChainError):
    """The node is on another chain than was asked for."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"wrong chain: the node is on chain {found}, expected {expected}")
        self.expected, self.found = expected, found


class NoCodeError(ChainError):
    """Where a contract should be there is none."""

    def __init__(self, name: str, address: str, block: int) -> None:
        super().__init__(f"no contract at {address}, where {name} should be (block {block})")
        self.name, self.address, self.block = name, address, block


class CodeDiffersError(ChainError):
    """The contract at an address is not the one that was deployed or compiled. Hashes are Keccak-256 of the runtime code."""

    def __init__(self, name: str, address: str, expected: bytes, found: bytes) -> None:
        super().__init__(f"the code of {name} at {address} differs: its hash is 0x{found.hex()}, expected 0x{expected.hex()}")
        self.name, self.address, self.expected, self.found = name, address, expected, found


class RevertedError(ChainError):
    """A contract refused a call. `error` is the name of its custom error (or the reason, or raw data), `arguments` its values."""

    def __init__(self, what: str, error: str, arguments: tuple[Any, ...] = ()) -> None:
        values = ", ".join(f"0x{value.hex()}" if isinstance(value, bytes) else str(value) for value in arguments)
        super().__init__(f"{what} reverts: {error}" + (f"({values})" if arguments else ""))
        self.what, self.error, self.arguments = what, error, arguments


class NotMinedError(ChainError):
    """A transaction was sent and has not been mined in time; it may still be."""

    def __init__(self, transaction: bytes, seconds: float) -> None:
        super().__init__(f"transaction 0x{transaction.hex()} is not mined after {seconds:.0f} s; it still may be")
        self.transaction, self.seconds = transaction, seconds


class NotConfirmedError(ChainError):
    """A transaction is mined, and not as many blocks have followed as were asked for; they still may."""

    def __init__(self, transaction: bytes, confirmations: int, seconds: float) -> None:
        super().__init__(f"transaction 0x{transaction.hex()} is mined, and has not {confirmations} confirmations after {seconds:.0f} s")
        self.transaction, self.confirmations, self.seconds = transaction, confirmations, seconds


class RefusedError(ChainError):
    """A node does not take a transaction. `reason` in the node's own words."""

    def __init__(self, transaction: bytes, reason: str) -> None:
        super().__init__(f"the node refuses transaction 0x{transaction.hex()}: {reason}")
        self.transaction, self.reason = transaction, reason

    @property
    def is_underpriced(self) -> bool:
        """Whether it would be taken with higher fees: the node has another one with its nonce."""
        return "underpriced" in self.reason.lower()


class NonceTakenError(ChainError):
    """A nonce was used by a transaction that is none of ours."""

    def __init__(self, account: Address, nonce: int) -> None:
        super().__init__(f"nonce {nonce} of {to_checksum(account)} was used by somebody else's transaction")
        self.account, self.nonce = account, nonce


class UnfundedError(ChainError):
    """The account cannot pay. Amounts in wei."""

    def __init__(self, account: Address, needed: int, found: int) -> None:
        super().__init__(f"{to_checksum(account)} has {ether(found)}, and up to {ether(needed)} may be needed")
        self.account, self.needed, self.found = account, needed, found


class FeesTooHighError(ChainError):
    """Gas costs more than may be paid. Both in wei for a unit: `price` is the base fee, or the gas price where there is none."""

    def __init__(self, price: int, cap: int) -> None:
        super().__init__(f"gas costs {gwei(price)}, more than the {gwei(cap)} that may be paid: not sent")
        self.price, self.cap = price, cap


class JournalError(ChainError):
    """A journal of transactions cannot be used."""


class NodeError(ChainError):
    """The node cannot be reached, or its answers contradict each other."""


class DeploymentError(ChainError):
    """A deployment, its file or its journal cannot be used."""
