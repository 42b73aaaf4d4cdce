// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev What an issuance, or a burn, made of a pass. A revocation is a flag beside it and changes neither.
///
///     None ──issue──▶ Held ──burn──▶ Burned
///                      ▲                │
///                      └────── issue ───┘  only if the wallet carries it itself
enum State {
    None,
    Held,
    Burned
}

/// @title Both passes of one wallet, in one storage slot: a half for each role.
///
///     half of a role    127      67    66      65 64   63          0
///                       |  unused | revoked | state | issuedAt      |
///
/// The creator's is the low half, the worker's the high one.
type MemberSlot is uint256;

using MemberSlotLib for MemberSlot global;

library MemberSlotLib {
    uint256 private constant HALF = type(uint128).max;
    uint256 private constant STATE_SHIFT = 64;
    uint256 private constant STATE = 3 << STATE_SHIFT;
    uint256 private constant HELD = uint256(State.Held) << STATE_SHIFT;
    uint256 private constant REVOKED = 1 << 66;

    function get(MemberSlot slot, uint8 role) internal pure returns (State state, bool revoked, uint64 issuedAt) {
        uint256 half = (MemberSlot.unwrap(slot) >> _shift(role)) & HALF;
        return (State((half >> STATE_SHIFT) & 3), half & REVOKED != 0, uint64(half));
    }

    function set(MemberSlot slot, uint8 role, State state, bool revoked, uint64 issuedAt) internal pure returns (MemberSlot) {
        uint256 half = (revoked ? REVOKED : 0) | (uint256(state) << STATE_SHIFT) | issuedAt;
        uint256 shift = _shift(role);
        return MemberSlot.wrap((MemberSlot.unwrap(slot) & ~(HALF << shift)) | (half << shift));
    }

    /// @dev A pass counts only while it is held and not revoked.
    function holds(MemberSlot slot, uint8 role) internal pure returns (bool) {
        return (MemberSlot.unwrap(slot) >> _shift(role)) & (STATE | REVOKED) == HELD;
    }

    /// @dev 0 for a creator (1), 128 for a worker (2).
    function _shift(uint8 role) private pure returns (uint256) {
        return (uint256(role) - 1) << 7;
    }
}
