"""What a compiler made of a contract, and whether the code at an address is the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from pictor.chain.interfaces import Interface

PUSH1, PUSH32 = 0x60, 0x7F


@dataclass(frozen=True)
class Artifact:
    """A compiled contract: `creation` makes a contract when the constructor's arguments follow it, `runtime` is then its code.

    Immutables are set by the constructor: in `runtime` they are zeros.
    """

    interface: Interface
    creation: bytes
    runtime: bytes

    @property
    def name(self) -> str:
        """The contract's name."""
        return self.interface.name

    def made(self, code: bytes) -> bool:
        """Whether `code` is this contract's, whatever the values of its immutables.

        solc leaves room for an immutable as `PUSH32 0`, and pushes zero in no other way than `PUSH0`: all else must be equal.
        """
        if len(code) != len(self.runtime):
            return False
        at = 0
        while at < len(code):
            size = 1 + max(0, self.runtime[at] - PUSH1 + 1) if self.runtime[at] <= PUSH32 else 1
            is_immutable = self.runtime[at] == PUSH32 and not any(self.runtime[at + 1 : at + size])
            compared = 1 if is_immutable else size
            if code[at : at + compared] != self.runtime[at : at + compared]:
                return False
            at += size
        return True


Artifacts = Mapping[str, Artifact]
