// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A pass's two last stored standings, in one storage slot, in no order.
///
///     half    127       96 95              32 31        0
///             |   rank    |      score       |  epoch   |
///
/// Two, so that a standing of the pending report can be stored while that of the active one still counts. A half with
/// epoch 0 is empty. 32 bits of epoch are enough: an epoch is a minute or longer, and ends before it is reported.
type StandingSlot is uint256;

using StandingSlotLib for StandingSlot global;

library StandingSlotLib {
    function half(StandingSlot slot, uint256 index) internal pure returns (uint64 epoch, uint64 score, uint32 rank) {
        uint256 bits = StandingSlot.unwrap(slot) >> (index << 7);
        return (uint32(bits), uint64(bits >> 32), uint32(bits >> 96));
    }

    /// @dev The standing of `epoch`, or zeros if neither half is of that epoch.
    function find(StandingSlot slot, uint64 epoch) internal pure returns (uint64 score, uint32 rank) {
        for (uint256 i; i < 2; ++i) {
            (uint64 stored, uint64 score_, uint32 rank_) = slot.half(i);
            if (stored == epoch) return (score_, rank_);
        }
    }

    /// @dev Stores a standing over one of the same epoch, or else over the older half, but never over the one of `kept`
    ///      (0 for none).
    function put(StandingSlot slot, uint64 epoch, uint64 score, uint32 rank, uint64 kept) internal pure returns (StandingSlot) {
        (uint64 low,,) = slot.half(0);
        (uint64 high,,) = slot.half(1);
        uint256 index = low <= high ? 0 : 1;
        if (low == epoch) index = 0;
        else if (high == epoch) index = 1;
        else if (kept != 0 && (index == 0 ? low : high) == kept) index = 1 - index;

        uint256 bits = uint32(epoch) | (uint256(score) << 32) | (uint256(rank) << 96);
        uint256 shift = index << 7;
        return StandingSlot.wrap((StandingSlot.unwrap(slot) & ~(uint256(type(uint128).max) << shift)) | (bits << shift));
    }
}
