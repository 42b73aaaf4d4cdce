"""What can go wrong between this machine and the contracts: one type for each outcome, with the values that tell why."""

from typing import Any


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


class NodeError(ChainError):
    """The node cannot be reached, or its answers contradict each other."""


class DeploymentError(ChainError):
    """A deployment, its file or its journal cannot be used."""
